import { counterOf, keepCounter } from './counting.ts'
import type { Decision } from './decision.ts'
import { isClosed } from './errors.ts'
import type { Limit } from './limit/limit.ts'
import type { LimiterStats } from './limiter-stats.ts'
import type { Algorithm } from './options.ts'
import type { RateLimiter } from './rate-limiter.ts'
// biome-ignore lint/style/noRestrictedImports: a type only, of what AsyncLimiter says about its storage
import type { RedisLimiterStats, RedisStorage } from './redis/index.ts'
// biome-ignore lint/style/noRestrictedImports: a type only, of what AsyncLimiter says about its storage
import type { Store } from './remote/store.ts'
import { withCode } from './validate.ts'
import type { WaitOptions } from './wait.ts'
import type { Caller, WaitResult } from './wait-queue/line.ts'

/** The state of one of several limits, whichever of them decides. */
export interface LimitStatus {
  /** Whole units that this limit alone would admit right now. */
  readonly remaining: number
  /** Milliseconds, rounded up, until it would admit one more than that; `Infinity` when it is full. */
  readonly moreMs: number
}

/** Whether the store decides, and if not, why. */
export interface StoreStatus {
  /** False while decisions are made without the store. Counters in memory are always available. */
  readonly available: boolean
  /** A code such as `'ECONNREFUSED'` or `'timeout'`, never an address or a secret; `undefined` when available. */
  readonly reason: string | undefined
}

/**
 * What adapters and decorators call, wherever the counters are. `RateLimiter` answers at once; a limiter whose
 * counters are behind a network answers with promises.
 */
export interface Limiter {
  /** The limits, parsed. All of them are charged, or none. */
  readonly limits: readonly Limit[]
  check(key: string, cost?: number): MaybePromise<Decision>
  peek(key: string, cost?: number): MaybePromise<Decision>
  /** As `check`, but a denial begins no block, and is neither cached nor answered from the cache. */
  take(key: string, cost?: number): MaybePromise<Decision>
  /** Gives back what was charged for something that does not count after all. */
  refund(key: string, units?: number): MaybePromise<void>
  block(key: string, ms: number): MaybePromise<void>
  /** Forgets the key, its block included. */
  reset(key: string): MaybePromise<void>
  /** Queues until admitted; rejects with RateLimitExceeded when `maxWaitMs` does not suffice. */
  wait(key: string, options?: WaitOptions): Promise<Decision>
  /** Admits, or queues for `maxWaitMs` at most; refuses at once when waiting is of no use. Never paced. */
  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<WaitResult<Decision>>
  /** For adapters: counts a denial after {@link delay}, which counts none itself. */
  noteDenial?(key: string, denial: Decision): void
  /**
   * The state of each limit for this key, in the order of `limits`, after `decision` about it. Takes no
   * round trip: the answer of a remote store came with the decision.
   */
  standings(key: string, decision: Decision): MaybePromise<readonly LimitStatus[]>
  /**
   * Waits for the first connection, and reports its state. Never rejects. A limiter without this method needs
   * no connection: call {@link readiness}.
   */
  ready?(): Promise<StoreStatus>
  close(): MaybePromise<void>
}

/**
 * A limiter whose limits may change from one call to the next, such as those of a customer's plan.
 *
 * What a key has used stays used when its limits change. All limits share one state: any number of different
 * limits takes the memory of one.
 */
export interface VariableLimiter extends Pick<Limiter, 'ready' | 'close'> {
  /**
   * The limiter under these limits. Cheap: there is nothing to close.
   *
   * @throws RangeError with the core's code if the limits can't be counted, here or at the first call
   */
  with(limits: readonly Limit[]): Limiter
  /** Forgets the key under all limits, its block included. */
  reset(key: string): MaybePromise<void>
}

/** Whether a limiter's store answers; in memory it always does. */
export async function readiness(limiter: Pick<Limiter, 'ready'>): Promise<StoreStatus> {
  return (await limiter.ready?.()) ?? { available: true, reason: undefined }
}

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
  /** Releases the state or the connection. Calls under way and every later call but `close` reject with code CLOSED. */
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
    standings: limiter.standings.bind(limiter),
    stats: () => limiter.stats(),
    close: async () => {
      isClosed = true
      limiter.close()
    },
  }
  refuseAllow(methods)
  keepCounter(methods, counterOf(limiter))
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

/** What a call answers: at once where the counters are in this process, else as a promise. */
export type MaybePromise<T> = T | Promise<T>

/** Calls `next` with the value: at once where it is there, so that no request waits for a needless promise. */
export function andThen<T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** What `act` gives. If it fails, `undo` is called before its error goes on. */
export function undoIfFails<T>(act: () => MaybePromise<T>, undo: () => void): MaybePromise<T> {
  const failed = (error: unknown): never => {
    undo()
    throw error
  }
  try {
    const done = act()
    return done instanceof Promise ? done.catch(failed) : done
  } catch (error) {
    return failed(error)
  }
}

/** {@link andThen} for several values: at once where all are there. */
export function andThenAll<T, R>(
  values: readonly MaybePromise<T>[],
  next: (values: readonly T[]) => R,
): MaybePromise<R> {
  const isLate = values.some((value) => value instanceof Promise)
  return isLate ? Promise.all(values).then(next) : next(values as readonly T[])
}

/**
 * What a user's function returned: a value as it is, a promise or another thenable as a real promise. Reads
 * and calls its `then` at most once.
 */
export function toPromise<T>(value: T | PromiseLike<T>): MaybePromise<T> {
  return isThenable(value) ? Promise.resolve(value) : value
}

/**
 * Settles as `promise` does, or rejects after `ms`. A promise that settles later, or rejects later, is ignored.
 *
 * @param what names the work in the error, or makes another error
 */
export function withTimeout<T>(
  promise: Promise<T>,
  ms: number,
  what: string | (() => Error),
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(typeof what === 'string' ? new Error(`${what} took longer than ${ms} ms`) : what())
    }, ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** What `ask` gives, or `undefined` if the limiter it asks was closed meanwhile. */
export function unlessClosed<T>(ask: () => MaybePromise<T>): MaybePromise<T | undefined> {
  try {
    const answer = ask()
    return answer instanceof Promise ? answer.catch(ignoreClosed) : answer
  } catch (error) {
    return ignoreClosed(error)
  }
}

/** @throws the error, if it is another */
function ignoreClosed(error: unknown): undefined {
  if (!isClosed(error)) throw error
}

/** Whether it has a `then`: users' functions may answer with promises of another library or realm. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject && 'then' in value && typeof value.then === 'function'
}
