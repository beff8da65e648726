import type { Decision } from './decision.ts'
import type { Limit } from './limit/limit.ts'
import type { MaybePromise } from './maybe-promise.ts'
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
export interface VariableLimiter {
  /**
   * The limiter under these limits. Cheap: there is nothing to close.
   *
   * @throws RangeError with the core's code if the limits can't be counted, here or at the first call
   */
  with(limits: readonly Limit[]): Limiter
  /** Forgets the key under all limits, its block included. */
  reset(key: string): MaybePromise<void>
  /** As {@link Limiter.ready}. */
  ready?(): Promise<StoreStatus>
  close(): MaybePromise<void>
}

/** Whether a limiter's store answers; in memory it always does. */
export async function readiness(limiter: Limiter): Promise<StoreStatus> {
  return (await limiter.ready?.()) ?? { available: true, reason: undefined }
}
