import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { StoreStatus } from '../limiter.ts'

/** How a charge treats a key that is denied. */
export type ChargeMode =
  /** Option `blockFor` blocks it. */
  | 'check'
  /** Nothing happens to it: the caller waits in a queue. */
  | 'take'
  /** As `take`. And with `leaky-bucket` the limit with the shortest window admits only while its bucket is empty. */
  | 'paced'

/**
 * The counters of a store, under one set of limits. Keys and numbers have been checked.
 *
 * Each call settles within `deadlineMs`, before the first connection within `connectTimeoutMs`; a `Guard` sees to
 * that. It rejects with a `StoreFailure` that says why, or with an error that `failureOf` reads. A call that was
 * cut off is not repeated: it may have been charged.
 */
export interface Counters {
  /**
   * Charges `cost`, under all limits or none.
   *
   * @param since `performance.now()` from which the deadline counts. Default: now
   * @returns a decision made by `storeDecision`, which says more than `Decision` does
   */
  charge(key: string, cost: number, mode: ChargeMode, since?: number): Promise<Decision>
  /** Charges `least` units, or up to `most` if there are that many: for leases. `chargedIn` reads how many. */
  acquire(key: string, least: number, most: number, since: number): Promise<Decision>
  /** What a charge of `cost` would answer. Changes nothing. */
  peek(key: string, cost: number): Promise<Decision>
  /** Gives back `units` to every limit, never more than the key owes. */
  refund(key: string, units: number): Promise<unknown>
  /** Denies the key for `ms` milliseconds from now on; replaces an earlier block. */
  block(key: string, ms: number): Promise<unknown>
  /** Forgets the key, its block included. */
  reset(key: string): Promise<unknown>
}

/** The processes that share the limits of one limiter, as far as the store knows them. */
export interface Sharing {
  /** Limiters of this process that share their counters in the store have the same object. */
  readonly group: object
  /** Processes that were seen alive; 0 if they were never counted. */
  readonly processes: number
  /** Into how many parts the limits are cut while the store is away, of which this process has one: at least 1. */
  readonly parts: number
}

/** Into how many parts the limits are cut now: as option `processes` says, else as many as share them. */
export function partsOf(
  { processes }: { readonly processes: number | undefined },
  sharing: Sharing,
): number {
  return processes ?? sharing.parts
}

/** A store behind a network, for one limiter. */
export interface Backend {
  readonly sharing: Sharing
  /** How often the store, or a server of a cluster, stopped answering. */
  readonly outages: number
  /** The store's counters as these limits see them. Keeps nothing that would have to be closed. */
  counters(limits: readonly Limit[]): Counters
  /** Waits for the first connection, and says whether the store decides. Never rejects. */
  ready(): Promise<StoreStatus>
  /** Ends the calls under way, and lets go of the connection. */
  close(): Promise<void>
}
