import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Decision } from '../decision.ts'
import type { CheckedLimits, LimitInput } from '../limit/limit.ts'
import type { MaybePromise, StoreStatus } from '../limiter.ts'
import { withCode } from '../validate.ts'
import { openConfigured, type RequestLimiter } from './config.ts'
import { warnOfLimitersPerRequest, wasAnyAsked } from './events.ts'
import type { HttpLimiter } from './http-limiter.ts'
import type { Key } from './key-functions.ts'
import { besideConfig } from './lasting.ts'
import {
  type AnyHttpOptions,
  type CheckedOptions,
  limitsAny,
  ownHttpOptions,
  resolveHttpOptions,
  withLimits,
} from './options.ts'
import type { LimitsFunction } from './request-limits.ts'
import { isOpen, type Outcome, type Refusal } from './response.ts'
import { type HttpShield, orClose, refuseShield, withoutShield } from './shield.ts'

/** How a response ends: with this status, or `undefined` if the client left before its headers were sent. */
export type Ending = number | undefined

/**
 * All that the core needs to know of a framework's requests and responses. To the core itself they are objects
 * that it passes from one of these functions to another.
 */
export interface HttpAdapter<Request = object, Response = object> {
  /**
   * The address at the other end of the connection, canonical; `unix` for a Unix-domain socket. `undefined` if
   * the client has left and its address is no longer known.
   */
  peer(request: Request): string | undefined
  /** The request of node:http that this is, if it is one. */
  incoming(request: Request): IncomingMessage | undefined
  /** The response of node:http that this is, if it is one. */
  outgoing(response: Response): ServerResponse | undefined
  headers(request: Request): IncomingHttpHeaders
  /** In capitals. */
  method(request: Request): string
  /** The path as it was asked for, with its query. */
  target(request: Request): string
  /**
   * The route that the framework knows a request by when it is decided about, as the program has written it: such as
   * `GET /users/:id`. Never what a client sent. Called for each request where there is an insight, so it is a text that
   * was made before. `undefined` if none is known.
   */
  route(request: Request): string | undefined
  /**
   * The peer and the hops outward of it, as the framework's own proxy setting follows them. `undefined` unless that
   * setting lists proxies that it trusts. Not optional: a polluted prototype would stand in for a missing one.
   */
  forwarded(request: Request, peer: string): readonly string[] | undefined
  /** Whether the framework's own proxy setting trusts a peer, also one that forwards nothing in this request. */
  isProxy(request: Request, peer: string): boolean
  setHeader(response: Response, name: string, value: string): void
  /**
   * Sets the three `x-ratelimit-` headers, and `retry-after` where it is given: unless the head has been sent. One
   * call, because in Express each look at a property of a response may cost as much as a decision.
   */
  setFigures(
    response: Response,
    limit: string,
    remaining: string,
    reset: string,
    retryAfter: string | undefined,
  ): void
  removeHeader(response: Response, name: string): void
  setStatus(response: Response, status: number): void
  /** Whether the request can no longer be answered: it was, or the client has left. */
  isFinished(response: Response): boolean
  /**
   * Calls `ended` once, when the response's headers have been sent or can't be.
   *
   * @returns cancels the call
   */
  onEnd(response: Response, ended: (ending: Ending) => void): () => void
  /**
   * Calls `done` once, when nothing more is to be done for the response: its last byte is on its way, or its client
   * has left. At once if that is so by now.
   *
   * @returns cancels the call
   */
  onDone(response: Response, done: () => void): () => void
  /** Aborts a response that will never be finished, whose client would wait. A complete one stays as it is. */
  cut(response: Response): void
  /**
   * Sends a whole response.
   *
   * @param isOpen whether it is known that the request can still be answered
   */
  send(response: Response, status: number, type: string, body: string, isOpen: boolean): void
}

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
      // Counters in this process need no connection.
      return states.find(({ available }) => !available) ?? { available: true, reason: undefined }
    },
    close: () => {
      for (const one of all()) one.close()
    },
  }
}

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

/** This many, made by one limiter while requests come in, are made for the requests. */
const MANY = 1_000

const COLLECTED = new FinalizationRegistry<() => void>((forget) => forget())

/**
 * The limiters that a limiter has made, for `ready` and `close`. Held weakly, so that the table of one that the
 * program no longer uses is freed.
 */
export class Children implements Iterable<HttpLimiter> {
  readonly #members = new Set<HttpLimiter | WeakRef<HttpLimiter>>()
  #late = 0

  add(child: HttpLimiter): void {
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

  *[Symbol.iterator](): IterableIterator<HttpLimiter> {
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
  limiter: RequestLimiter,
  outcome: MaybePromise<Outcome>,
  request: Request,
  response: Response,
  next: (error?: Error) => void,
  handOn: HandOn<Request, Response>,
): void {
  if (outcome === undefined) next()
  else if (outcome instanceof Promise) {
    void outcome.then((found) => proceed(limiter, found, request, response, next, handOn))
  } else if (limiter.handsOn && isOpen(outcome)) handOn(outcome, request, response, next)
  else {
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
export interface MiddlewareMaker<Options extends AnyHttpOptions, Middleware extends object> {
  /** How requests say what they are, for the routes of a file. */
  readonly reader: Pick<HttpAdapter, 'method' | 'target'>
  /** Whether headers are asked for again once a handler has run. */
  readonly looksBack?: boolean
  open(options: Options): HttpLimiter
  /**
   * @param limiter `undefined` for a middleware without limits, which only makes others
   * @param shield before the limits of all of them
   */
  wrap(limiter: RequestLimiter | undefined, shield: HttpShield | undefined): Middleware
  /** The shield that the options ask for. */
  shield(options: Options): HttpShield | undefined
}

/** Makes a middleware with its `limit` and its controls. */
export function makeMiddleware<Options extends AnyHttpOptions, Middleware extends object>(
  options: Options,
  maker: MiddlewareMaker<Options, Middleware>,
): Middleware & Controls & { readonly limit: object } {
  const own = ownHttpOptions(options)
  const configured = openConfigured(own, maker as MiddlewareMaker<AnyHttpOptions, Middleware>)
  if (configured !== undefined) {
    const { limiter, shield, close } = configured
    const limit = (): never => {
      throw besideConfig('limit(...)')
    }
    return Object.assign(maker.wrap(limiter, shield), { limit }, controlsOf(limiter), { close })
  }
  const shield = maker.shield(own)
  if (shield === undefined) return makeOne(withoutShield(own), maker, shield, [])
  const made = orClose(shield, () => makeOne(withoutShield(own), maker, shield, []))
  const { close } = made
  return Object.assign(made, {
    close: () => {
      close()
      shield.close()
    },
  })
}

/** @throws TypeError for options beside limits, which nothing would read */
export function refuseMore([more]: readonly unknown[], name: string): void {
  if (typeof more !== 'object' || more === null) return
  const message = `${name} must be given its options with the limits, as in ${name}({ limits: '10/minute', name: 'search' }), got a second argument`
  throw withCode(new TypeError(message), 'INVALID_OPTION')
}

function makeOne<Options extends AnyHttpOptions, Middleware extends object>(
  options: Options,
  maker: MiddlewareMaker<Options, Middleware>,
  shield: HttpShield | undefined,
  parents: readonly Children[],
): Middleware & Controls & { readonly limit: object } {
  const limiter = limitsAny(options) ? maker.open(options) : undefined
  // Without limits the options are checked all the same.
  if (limiter === undefined) resolveHttpOptions(options)
  else for (const parent of parents) parent.add(limiter)
  const made = new Children()
  const limit = (
    given: LimitInput | LimitsFunction<never> | Options,
    ...more: readonly unknown[]
  ): object => {
    refuseMore(more, 'limit')
    refuseShield(given)
    return makeOne(withLimits(options, given, 'limit'), maker, shield, [...parents, made])
  }
  return Object.assign(maker.wrap(limiter, shield), { limit }, controlsOf(limiter, made))
}
