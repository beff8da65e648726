import type { ConcurrencyReason } from '../errors.ts'
import type { MaybePromise, StoreStatus } from '../limiter.ts'

/** How many callers may be inside at a time: each key, all keys together, or both. */
export interface ConcurrencyLimits {
  /** Most permits that one key holds at a time: 1 to 1,000,000. */
  readonly perKey?: number | undefined
  /** Most permits that all keys hold together at a time: 1 to 1,000,000. */
  readonly total?: number | undefined
}

/** The right to be inside, until it is released. `using permit = …` releases it at the end of the block. */
export interface Permit {
  /**
   * Whether it has ended without being released: it was held for longer than `maxHoldMs`, its lease in a store could not
   * be renewed, or its limiter was closed. Another caller may have its place.
   */
  readonly isLost: boolean
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

/** Counts of a limiter, of this object since it was made unless it says otherwise. */
export interface ConcurrencyStats {
  /** Permits that are out now and not lost: of all that share the limiter in memory or on this host; in a store of this object. */
  readonly held: number
  /** Callers that wait now. */
  readonly waiting: number
  /** Callers that were given a permit. */
  readonly admitted: number
  /** Callers that got none, at once or after a wait. Without those that left by their signal. */
  readonly refused: number
  /** Those of them whose wait was over. */
  readonly timedOut: number
  /** Permits that ended without being released. */
  readonly lost: number
  /** Keys that can hold permits at a time. */
  readonly capacity: number
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
  /** How many permits the key holds, wherever they were given out. */
  held(key: string): MaybePromise<number>
  stats(): ConcurrencyStats
  ready(): Promise<StoreStatus>
  close(): MaybePromise<void>
}

/**
 * Permits that may be counted anywhere: in this process, on this host or in a store. Every call answers with a promise.
 *
 * It has no `tryAcquire`: a permit that comes as a promise is there for every caller who forgets `await`. Calling it does
 * not compile, and throws a TypeError with code ASYNC_LIMITER.
 */
export interface AsyncConcurrencyLimiter extends Permits {
  take(key: string): Promise<Permit | PermitRefused>
  enter(key: string, signal?: AbortSignal): Promise<Permit | PermitRefused>
  /**
   * A permit, if need be after a wait in the queue.
   *
   * @throws ConcurrencyExceeded when there is none in time; the signal's reason when it is aborted
   */
  acquire(key: string, options?: AcquireOptions): Promise<Permit>
  /** How many permits the key holds, in all processes that share the limiter. */
  held(key: string): Promise<number>
  /** Gives back what is still out. Callers that wait, calls under way and later calls are rejected with code CLOSED. */
  close(): Promise<void>
}
