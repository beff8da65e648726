import type { Limit } from '../limit/limit.ts'
import type { Limiter, StoreStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'

/**
 * Counters of callers whose limits may change from one call to the next, such as those of a plan.
 *
 * What a key has used stays used when its limits change. All limits share one state, so no number of
 * different limits is too large, and none of them costs memory of its own.
 */
export interface VariableLimiter {
  /**
   * The counters as these limits see them. Cheap: keeps nothing that would have to be closed.
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
