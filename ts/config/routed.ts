import type { Decision } from '../decision.ts'
import { closedError, RequestRefused } from '../errors.ts'
import type { HttpAdapter } from '../http/adapter.ts'
import type { Exchange } from '../http/charge-record.ts'
import type { ConfigOpener, RequestLimiter } from '../http/config.ts'
import type { HttpLimiter } from '../http/http-limiter.ts'
import type { Key } from '../http/key-functions.ts'
import type { Outcome, Refusal } from '../http/response.ts'
import { andThen, type MaybePromise, type StoreStatus } from '../limiter.ts'
import { withCode } from '../validate.ts'
import type { Serving } from './serving.ts'

/** How a request says what it is: what of an adapter is needed here. */
export type RouteReader = Pick<HttpAdapter, 'method' | 'target'>

/**
 * Limits requests by the routes of a file. Each request is decided about by the version that is live when it comes,
 * from its beginning to its end.
 */
export class RoutedLimiter implements RequestLimiter {
  /** Refusals are answered by the limiter that refused, which knows its own options. */
  readonly handsOn = false
  readonly #current: () => Serving | undefined
  readonly #reader: RouteReader
  readonly #detach: () => void
  readonly #refused = new WeakMap<object, HttpLimiter>()
  /** Only for adapters that look back: to note each request costs more than to decide. */
  readonly #decided: WeakMap<object, HttpLimiter> | undefined

  /** @param current what is live; `undefined` once it is closed */
  constructor(
    current: () => Serving | undefined,
    { reader, looksBack }: Pick<ConfigOpener, 'reader' | 'looksBack'>,
    detach: () => void,
  ) {
    this.#current = current
    this.#reader = reader
    this.#decided = looksBack === true ? new WeakMap() : undefined
    this.#detach = detach
  }

  /** Each limiter counts for itself. */
  readonly counts = undefined

  /** The limiter that counts a request, for the shield before it. */
  of(request: object): HttpLimiter | undefined {
    const serving = this.#current()
    if (serving === undefined) return undefined
    const { method, target } = this.#reader
    const [first, second] = serving.matcher.of(method(request), target(request))
    return serving.only ?? limiterOf(serving, first) ?? limiterOf(serving, second)
  }

  get holdsConnection(): boolean {
    return this.#all().some((one) => one.holdsConnection)
  }

  decide(request: object, response: object): MaybePromise<Outcome> {
    const serving = this.#current()
    // Requests of a server whose configuration was closed are not served: they would have no limit.
    if (serving === undefined) return closedRefusal()
    const { only } = serving
    if (only !== undefined) return this.#ask(only, request, response)
    const { method, target } = this.#reader
    const [first, second] = serving.matcher.of(method(request), target(request))
    const one = limiterOf(serving, first)
    const other = limiterOf(serving, second)
    if (one === undefined) return other && this.#ask(other, request, response)
    const outcome = this.#ask(one, request, response)
    if (other === undefined) return outcome
    return andThen(outcome, (found) => found ?? this.#ask(other, request, response))
  }

  #ask(limiter: HttpLimiter, request: object, response: object): MaybePromise<Outcome> {
    this.#decided?.set(request, limiter)
    const outcome = limiter.decide(request, response)
    if (outcome === undefined) return undefined
    return andThen(outcome, (found) => {
      if (found !== undefined) this.#refused.set(found, limiter)
      return found
    })
  }

  refuse(
    refusal: Refusal,
    exchange: Pick<Exchange, 'request' | 'response'>,
    handOn: () => void,
  ): MaybePromise<void> {
    const limiter = this.#refused.get(refusal)
    return limiter === undefined ? handOn() : limiter.refuse(refusal, exchange, handOn)
  }

  markOf(request: object): string | undefined {
    return this.#decided?.get(request)?.markOf(request)
  }

  headersOf(request: object, outcome: Outcome): MaybePromise<Record<string, string>> {
    const limiter = (outcome && this.#refused.get(outcome)) ?? this.#decided?.get(request)
    return limiter?.headersOf(request, outcome) ?? {}
  }

  /** Forgets a key in all limiters. */
  reset(key: Key): MaybePromise<void> {
    const all = this.#all().map((one) => one.reset(key))
    return all.some((one) => one instanceof Promise) ? Promise.all(all).then(() => {}) : undefined
  }

  peek(key: Key): MaybePromise<Decision> {
    const [one, ...others] = this.#all()
    if (one !== undefined && others.length === 0) return one.peek(key)
    const message = `peek must be asked of one limiter, config.limiter(name), got a configuration of ${others.length + 1}`
    throw withCode(new TypeError(message), 'LIMITS_DEPEND_ON_REQUEST')
  }

  async ready(): Promise<StoreStatus> {
    const states = await Promise.all(this.#all().map((one) => one.ready()))
    return states.find(({ available }) => !available) ?? { available: true, reason: undefined }
  }

  release(): void {
    for (const one of this.#all()) one.release()
  }

  close(): void {
    this.#detach()
  }

  #all(): HttpLimiter[] {
    return [...(this.#current()?.limiters.values() ?? [])].map(({ limiter }) => limiter)
  }
}

function closedRefusal(): RequestRefused {
  const cause = closedError('the configuration is closed')
  return new RequestRefused('RATE_LIMITER_FAILED', { cause })
}

function limiterOf(serving: Serving, target: string | false | undefined): HttpLimiter | undefined {
  if (target === undefined || target === false) return undefined
  return serving.limiters.get(target)?.limiter
}
