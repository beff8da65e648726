import type { Decision } from './decision.ts'
import type { Limit } from './limit/limit.ts'
import type { Limiter, LimitStatus, StoreStatus } from './limiter.ts'
import type { LimiterStats } from './native-limiter.ts'
import type { Algorithm } from './options.ts'
import type { RateLimiter } from './rate-limiter.ts'
import type { RedisLimiterStats, RedisStorage } from './redis/index.ts'
import type { Store } from './remote/store.ts'
import { withCode } from './validate.ts'
import type { WaitOptions } from './wait.ts'

/**
 * A limiter whose counters may be anywhere: in this process, on this host or in Redis. Every call answers with
 * a promise, wherever they are.
 *
 * ```ts
 * const limiter = createLimiter({ limits: '100/minute', storage: process.env.RATELIMIT_STORAGE_URL })
 * if (!(await limiter.check('user:42')).allowed) refuse()
 * ```
 *
 * It has no `allow`: a boolean that comes as a promise is true for every caller who forgets `await`. Calling it
 * does not compile, and throws a TypeError with code ASYNC_LIMITER.
 *
 * Wrong arguments reject with a TypeError or RangeError that names them, as `RateLimiter` throws them.
 */
export interface AsyncLimiter<Stats = LimiterStats | RedisLimiterStats> extends Limiter {
  /** The limits, parsed. All of them are charged, or none. */
  readonly limits: readonly Limit[]
  /** How requests are counted. */
  readonly algorithm: Algorithm
  /** Where the state lives, as option `storage` of adapters and of other limiters takes it. */
  readonly storage: 'memory:' | `shared:${string}` | RedisStorage | Store
  /** Charges `cost` (default 1) and says in full what that left, or why not. A cost of 0 only asks. */
  check(key: string, cost?: number): Promise<Decision>
  /** What {@link check} would answer now. Changes nothing. */
  peek(key: string, cost?: number): Promise<Decision>
  /** Charges `cost` (default 1); rejects with RateLimitExceeded if it is denied. */
  consume(key: string, cost?: number): Promise<Decision>
  /** Queues until admitted; rejects with RateLimitExceeded when `maxWaitMs` does not suffice. */
  wait(key: string, options?: WaitOptions): Promise<Decision>
  /** Gives back `units` (default 1) to every limit, never more than the key owes. */
  refund(key: string, units?: number): Promise<void>
  /** Forgets the key, its block included. */
  reset(key: string): Promise<void>
  /** Denies the key for `ms` milliseconds (1 to 10 years) from now on; replaces an earlier block. */
  block(key: string, ms: number): Promise<void>
  /** Waits for the first connection, and reports its state. Never rejects. In memory: available, at once. */
  ready(): Promise<StoreStatus>
  /** How each limit stood when `decision` was taken, in the order of `limits`. Takes no round trip. */
  standings(key: string, decision: Decision): readonly LimitStatus[]
  /** Counts of this process since the limiter was made. Synchronous wherever the counters are. */
  stats(): Stats
  /** Releases the state or the connection. Every later call but `close` rejects with code CLOSED. */
  close(): Promise<void>
}

/** A limiter of this process or host, with the methods of one in a store. */
export function toAsync(limiter: RateLimiter): AsyncLimiter<LimiterStats> {
  let isClosed = false
  const methods: AsyncLimiter<LimiterStats> = {
    limits: limiter.limits,
    algorithm: limiter.algorithm,
    storage: limiter.storage,
    check: async (key, cost) => limiter.check(key, cost),
    peek: async (key, cost) => limiter.peek(key, cost),
    take: async (key, cost) => limiter.take(key, cost),
    consume: async (key, cost) => limiter.consume(key, cost),
    wait: (key, options) => limiter.wait(key, options),
    delay: async (...args) => limiter.delay(...args),
    refund: async (key, units) => limiter.refund(key, units),
    reset: async (key) => limiter.reset(key),
    block: async (key, ms) => limiter.block(key, ms),
    ready: async () => ({ available: !isClosed, reason: isClosed ? 'closed' : undefined }),
    standings: (key) => limiter.standings(key),
    stats: () => limiter.stats(),
    close: async () => {
      isClosed = true
      limiter.close()
    },
  }
  refuseAllow(methods)
  return methods
}

/** Adds an `allow` that throws to limiters that answer with promises. Their type has none. */
export function refuseAllow(limiter: object): void {
  Object.defineProperty(limiter, 'allow', {
    configurable: true,
    writable: true,
    value: function allow(): never {
      const instead = 'use (await limiter.check(key)).allowed'
      const message = `allow must be called on a RateLimiter, got a limiter that answers with promises; ${instead}`
      throw withCode(new TypeError(message), 'ASYNC_LIMITER')
    },
  })
}
