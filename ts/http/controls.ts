import type { Decision } from '../decision.ts'
import type { CheckedLimits, LimitInput } from '../limit/limit.ts'
import type { MaybePromise, StoreStatus } from '../limiter.ts'
import { withCode } from '../validate.ts'
import { warnOfLimitersPerRequest, wasAnyAsked } from './events.ts'
import type { HttpLimiter } from './http-limiter.ts'
import type { Key } from './key-functions.ts'
import type { CheckedOptions, HttpOptions } from './options.ts'
import type { LimitsFunction } from './request-limits.ts'
import { asHttpOptions, inheritedFrom, resolveHttpOptions } from './resolve-options.ts'
import type { Outcome, Refusal } from './response.ts'

/** What the limiter of every adapter offers besides limiting requests. */
export interface Controls {
  /**
   * Forgets a key, its block included.
   *
   * @param key what the key function returns for the caller, a number included: by default the address
   * (an IPv6 address by network, `2001:db8::/64`); docs/reference/options.md lists the forms
   * @throws TypeError with the code INVALID_ARGUMENT for what is no key
   */
  reset(key: Key): MaybePromise<void>
  /**
   * The decision about the key if a request came now. Changes nothing. The key is given as to `reset`.
   *
   * @throws TypeError with the code LIMITS_DEPEND_ON_REQUEST where the limits come from a function
   */
  peek(key: Key): MaybePromise<Decision>
  /**
   * Waits for the first connection to the store, and says whether the store can be asked. Never rejects.
   * Counters in this process are always available.
   */
  ready(): Promise<StoreStatus>
  /** Frees the counters. Later requests are answered 500. */
  close(): void
}

/** The controls of several limiters: `reset` and `peek` use the first, `ready` and `close` all of them. */
export function controlsOf(own: Controls | undefined, others: Iterable<Controls> = []): Controls {
  const all = (): Controls[] => (own === undefined ? [...others] : [own, ...others])
  return {
    reset: (key) => limited(own).reset(key),
    peek: (key) => limited(own).peek(key),
    ready: async () => {
      const states = await Promise.all(all().map((one) => one.ready()))
      return states.find(({ available }) => !available) ?? AVAILABLE
    },
    close: () => {
      for (const one of all()) one.close()
    },
  }
}

/** The status of a store that needs no connection. */
export const AVAILABLE: StoreStatus = { available: true, reason: undefined }

function limited(own: Controls | undefined): Controls {
  if (own === undefined) throw noLimits()
  return own
}

/** For a limiter without limits, which only makes others. */
export function noLimits(): TypeError {
  return withCode(new TypeError(NO_LIMITS), 'NO_LIMITS')
}

const NO_LIMITS =
  "rateThrottle was given no limits, so it can't be a middleware and counts no key: only its limit(...) makes some"

/** A limiter that is closed with the one that made it. */
export interface Child {
  /** Whether it has a connection, which only `close` ends. */
  readonly holdsConnection: boolean
}

/** This many, made by one limiter while requests come in, are made for the requests. */
const MANY = 1_000

const COLLECTED = new FinalizationRegistry<() => void>((forget) => forget())

/**
 * The limiters that a limiter has made, for `ready` and `close`. Held weakly, so that the table of one that the
 * program no longer uses is freed.
 */
export class Children<T extends Child> implements Iterable<T> {
  readonly #members = new Set<T | WeakRef<T>>()
  #late = 0

  add(child: T): void {
    if (wasAnyAsked()) this.#late++
    if (this.#late === MANY) warnOfLimitersPerRequest()
    if (child.holdsConnection) this.#members.add(child)
    else {
      const members = this.#members
      const reference = new WeakRef(child)
      members.add(reference)
      COLLECTED.register(child, () => members.delete(reference))
    }
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const member of this.#members) {
      const child = member instanceof WeakRef ? member.deref() : member
      if (child !== undefined) yield child
    }
  }
}

/** Hands a refusal to the error handling of a framework, or answers it as JSON where it has none. */
export type HandOn<Request, Response> = (
  refusal: Refusal,
  request: Request,
  response: Response,
  next: (error?: Error) => void,
) => void

/**
 * Goes on with a request that was not admitted at once: it is still being decided about, or refused.
 *
 * @param next called if it may pass
 */
export function proceed<Request extends object, Response extends object>(
  limiter: HttpLimiter<Request, Response>,
  outcome: MaybePromise<Outcome>,
  request: Request,
  response: Response,
  next: (error?: Error) => void,
  handOn: HandOn<Request, Response>,
): void {
  if (outcome === undefined) next()
  else if (outcome instanceof Promise) {
    void outcome.then((found) => proceed(limiter, found, request, response, next, handOn))
  } else {
    void limiter.refuse(outcome, { request, response }, () =>
      handOn(outcome, request, response, next),
    )
  }
}

/** A middleware that makes others. Its `ready` and `close` include those; its `reset` and `peek` do not. */
export interface MiddlewareFamily<Request, Response, Self> extends Controls {
  /**
   * Middleware with its own limits, for a route or a router. It has the same options except for the limits:
   * `app.get('/search', limiter.limit('10/minute'), search)`.
   */
  limit<const L extends LimitInput>(limits: CheckedLimits<L>): Self
  limit<const L extends LimitInput>(
    options: LimitsFunction<Request> | CheckedOptions<L, Request, Response>,
  ): Self
}

/** How an adapter makes its middleware. */
export interface MiddlewareMaker<Request extends object, Response extends object, Middleware> {
  open(options: HttpOptions<Request, Response>): HttpLimiter<Request, Response>
  /** @param limiter `undefined` for a middleware without limits, which only makes others */
  wrap(limiter: HttpLimiter<Request, Response> | undefined): Middleware
}

/** Makes a middleware with its `limit` and its controls. */
export function makeMiddleware<
  Request extends object,
  Response extends object,
  Middleware extends object,
>(
  options: HttpOptions<Request, Response>,
  maker: MiddlewareMaker<Request, Response, Middleware>,
  parents: readonly Children<HttpLimiter<Request, Response>>[] = [],
): Middleware & Controls & { readonly limit: object } {
  const limiter = options.limits === undefined ? undefined : maker.open(options)
  // Without limits the options are checked all the same.
  if (limiter === undefined) resolveHttpOptions(options)
  else for (const parent of parents) parent.add(limiter)
  const made = new Children<HttpLimiter<Request, Response>>()
  const limit = (
    given: LimitInput | LimitsFunction<Request> | HttpOptions<Request, Response>,
  ): object => {
    const own = { ...inheritedFrom(options), ...asHttpOptions(given, 'limit') }
    return makeMiddleware(own, maker, [...parents, made])
  }
  return Object.assign(maker.wrap(limiter), { limit }, controlsOf(limiter, made))
}
