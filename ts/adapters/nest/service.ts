import type { Decision } from '../../decision.ts'
import { noLimits } from '../../http/adapter.ts'
import { sourceOf } from '../../http/charge.ts'
import type { Key } from '../../http/key-functions.ts'
import type { Counting } from '../../http/request-limits.ts'
import type { StoreStatus } from '../../limiter.ts'
import type { LimiterStats } from '../../limiter-stats.ts'
import { withCode } from '../../validate.ts'
import type { Engine } from './engine.ts'
import type { Opened } from './limiters.ts'

/** Limits that a program asks about keys of its own. All of it answers with promises, wherever the counters are. */
export class NamedLimits {
  readonly #find: () => Opened

  /** The service makes it. */
  constructor(find: () => object) {
    this.#find = find as () => Opened
  }

  /** Charges the key: a denial charges nothing. Sets no headers, and asks no other limits. */
  async check(key: Key, cost?: number): Promise<Decision> {
    return this.#counting().check(textOf(key), cost)
  }

  /** The decision about the key if a request came now. Changes nothing. */
  async peek(key: Key): Promise<Decision> {
    return this.#find().limiter.peek(key)
  }

  /** Gives units back (default 1), never more than the key owes. */
  async refund(key: Key, units?: number): Promise<void> {
    await this.#counting().refund(textOf(key), units)
  }

  /** Denies the key for `ms` milliseconds from now on. */
  async block(key: Key, ms: number): Promise<void> {
    await this.#counting().block(textOf(key), ms)
  }

  /** Forgets the key, its block included. By default a client's key is its address, an IPv6 address by network. */
  async reset(key: Key): Promise<void> {
    await this.#find().limiter.reset(key)
  }

  /** Waits for the first connection to the store, and says whether the store can be asked. Never rejects. */
  async ready(): Promise<StoreStatus> {
    return this.#find().limiter.ready()
  }

  /** Counts since the application was made. `undefined` where a `blockFor` with steps stands before the counters. */
  stats(): LimiterStats | undefined {
    const counting = this.#counting() as Counting & { stats?(): LimiterStats }
    return counting.stats?.()
  }

  #counting(): Counting {
    const counting = sourceOf(this.#find().options)?.fixed?.limiter
    if (counting !== undefined) return counting
    const message = 'limits that depend on the request have no common counters'
    throw withCode(new TypeError(message), 'LIMITS_DEPEND_ON_REQUEST')
  }
}

function textOf(key: Key): string {
  return typeof key === 'number' ? String(key) : (key as string)
}

/** The module's own limits, for programs: inject it, as `constructor(private readonly limits: RateThrottleService)`. */
export class RateThrottleService extends NamedLimits {
  readonly #engine: Engine

  /** Nest makes it. */
  constructor(engine: object) {
    const { limiters } = engine as Engine
    super(() => {
      if (limiters.own === undefined) throw noLimits()
      return limiters.own
    })
    this.#engine = engine as Engine
  }

  /**
   * The limits of a decorator, by its option `name`, or by its place, such as `AuthController.login`.
   *
   * @throws RangeError with the code INVALID_ARGUMENT if there are none
   */
  named(name: string): NamedLimits {
    const { limiters } = this.#engine
    limiters.named(name)
    return new NamedLimits(() => limiters.named(name))
  }
}
