import type { ConcurrencyReason } from '../errors.ts'

/** Where permits are counted: the native table, or in tests a map. */
export interface PermitCounts {
  /** A receipt (from 0 on) for a permit that is now held, or one of {@link REFUSALS}. */
  acquire(key: string): number
  /** Gives a permit back. A receipt is good for one call: the caller keeps track. */
  release(receipt: number): void
  /** How many permits the key holds, in all processes that share the counts. */
  held(key: string): number
  /** How many permits all keys hold together. */
  inUse(): number
  /** Keys that can hold permits at a time. */
  readonly capacity: number
  /**
   * Gives back what processes held that were killed. Returns how many permits came free. A caller that is refused does
   * it too, ten times a second at most.
   */
  reap(): number
  /** Gives all back that this object has given out. */
  close(): void
}

/** What `acquire` answers when there is no permit, and why. */
export const REFUSALS: Readonly<Record<number, ConcurrencyReason>> = {
  [-1]: 'perKey',
  [-2]: 'total',
  [-3]: 'capacity',
}
