import type { CountedLimiter, CounterPlace, LimitCounter } from './counting.ts'
import { type Limit, limitsInWords } from './limit/limit.ts'
import type { ResolvedOptions } from './options.ts'

/** Counts of a limiter since it was made. */
export interface LimiterStats {
  /** Keys that were evicted while they still owed something. Raise `capacity` if it grows. */
  readonly evictions: number
  /** Decisions on the overflow bucket, which keys share when every slot they may use holds a blocked key. */
  readonly overflows: number
  /**
   * Keys that gave their slots to new keys, because all slots were taken. What they owe and how long they are denied
   * is remembered beside the slots.
   */
  readonly moved: number
  /** The most memory this limiter can ever occupy, in bytes. */
  readonly bytes: number
  /**
   * Calls of `check`, `consume`, `allow` and `wait`, and requests of adapters, of this object that were admitted and
   * charged at least one unit.
   */
  readonly admitted: number
  /** The same that were denied. */
  readonly denied: number
}

/** Counts since the limiter was made, of all threads and processes that share it together. */
export function readStats(native: {
  stats(): undefined
  tally(): undefined
  wide: Float64Array
}): LimiterStats {
  native.stats()
  const [evictions = 0, overflows = 0, bytes = 0, , , moved = 0] = native.wide
  native.tally()
  const [admitted = 0, denied = 0] = native.wide
  return { evictions, overflows, moved, bytes, admitted, denied }
}

/** Where a limiter counts, if it has an insight. */
export function openCounter(
  { insight, name, algorithm, shared }: ResolvedOptions,
  limits: readonly Limit[] | undefined,
  tier: CountedLimiter['tier'] = shared ? 'shared' : 'memory',
): LimitCounter | undefined {
  const shown = name ?? (limits === undefined ? 'limits of the request' : limitsInWords(limits))
  return insight?.counter({ name: shown, limits, algorithm, tier })
}

/** Opens a limiter that counts there. One that can't be opened must not stand for the others of its name. */
export function openCounted<T>(counter: LimitCounter | undefined, open: () => T): T {
  try {
    return open()
  } catch (error) {
    counter?.close()
    throw error
  }
}

/** Where it counts, for the addon. */
export function placeOf(counter: LimitCounter | undefined): { readonly place?: CounterPlace } {
  return counter === undefined ? {} : { place: counter.place }
}
