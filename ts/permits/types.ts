import type { ConcurrencyReason } from '../errors.ts'
import type { MaybePromise, StoreStatus } from '../limiter.ts'

/** How many callers may be inside at a time: each key, all keys together, or both. */
export interface ConcurrencyLimits {
  /** Most permits that one key holds at a time. */
  readonly perKey?: number | undefined
  /** Most permits that all keys hold together at a time. */
  readonly total?: number | undefined
}

/** The right to be inside, until it is released. `using permit = …` releases it at the end of the block. */
export interface Permit {
  /** Gives the permit back. Calling it again does nothing. */
  release(): void
  [Symbol.dispose](): void
}

/** Options of a call that may wait for a permit. */
export interface AcquireOptions {
  /** Longest wait in milliseconds, in place of the limiter's own `maxWaitMs`. */
  readonly maxWaitMs?: number | undefined
  /** Gives up when aborted; no permit is held then. */
  readonly signal?: AbortSignal | undefined
}

/** Why there is no permit. */
export class PermitRefused {
  constructor(
    readonly reason: ConcurrencyReason,
    /** The limit that refused. */
    readonly limit: number,
  ) {}
}

/**
 * What adapters call, wherever permits are counted: in this process and on this host the answers are synchronous.
 *
 * A refusal holds nothing and leaves nothing behind.
 */
export interface Permits {
  readonly limits: ConcurrencyLimits
  /** A permit at once, or why there is none. */
  take(key: string): MaybePromise<Permit | PermitRefused>
  /**
   * A permit, if need be after a wait: in the queue that the options allow, first come, first served.
   *
   * @param signal the caller has gone: rejects with its reason, and holds nothing
   */
  enter(key: string, signal?: AbortSignal): MaybePromise<Permit | PermitRefused>
  ready(): Promise<StoreStatus>
  close(): void
}
