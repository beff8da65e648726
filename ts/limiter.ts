import type { Decision } from './decision.ts'
import type { Limit } from './limit/limit.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { WaitOptions } from './wait.ts'
import type { Caller, Outcome } from './wait-queue.ts'

/** How one of several limits stands, whichever of them decides. */
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
 * Where the counters live, as whoever asks sees it: adapters know this and no particular tier.
 * `RateLimiter` answers at once; a tier behind a network answers with promises.
 */
export interface Limiter {
  readonly limits: readonly Limit[]
  check(key: string, cost?: number): MaybePromise<Decision>
  peek(key: string, cost?: number): MaybePromise<Decision>
  /** As `check`, but a denial begins no block, and is neither remembered nor taken from memory. */
  take(key: string, cost?: number): MaybePromise<Decision>
  /** Gives back what was charged and turned out not to count. */
  refund(key: string, units?: number): MaybePromise<void>
  block(key: string, ms: number): MaybePromise<void>
  /** Forgets the key, its block included. */
  reset(key: string): MaybePromise<void>
  /** Queues until admitted; rejects with RateLimitExceeded when `maxWaitMs` does not suffice. */
  wait(key: string, options?: WaitOptions): Promise<Decision>
  /** Admits, or queues for `maxWaitMs` at most, and says at once when that is of no use. Never paced. */
  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<Outcome<Decision>>
  /**
   * How each limit stands for this key, in the order of `limits`, after `decision` about it. Costs no
   * round trip: a remote tier answers from what came with the decision.
   */
  standings(key: string, decision: Decision): MaybePromise<readonly LimitStatus[]>
  /**
   * Waits for the first connection, and says how it went. Never rejects. A tier without it needs no
   * connection: ask with {@link readiness}.
   */
  ready?(): Promise<StoreStatus>
  close(): MaybePromise<void>
}

/** Whether a tier's store can be asked: at once where the counters are in this process. */
export async function readiness(tier: Limiter): Promise<StoreStatus> {
  return (await tier.ready?.()) ?? { available: true, reason: undefined }
}
