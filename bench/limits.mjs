const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Never reached: a subject would have to answer a thousand million times in one run. */
export const ADMIT = { count: 1_000_000_000, windowMs: HOUR_MS, text: '1000000000/hour' }

/**
 * Used up by one call. A day and not an hour, because the sliding Map's windows are aligned to
 * the clock: a run that crosses the end of one would be given another unit.
 */
export const DENY = { count: 1, windowMs: DAY_MS, text: '1/day' }

/** Small enough to be reached by hand, to see that a subject counts before it is timed. */
export const PROBE = { count: 3, windowMs: DAY_MS, text: '3/day' }
