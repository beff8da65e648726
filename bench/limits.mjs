const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const ADMITTED_PER_HOUR = 1_000_000_000

/** Never reached: the keys of a case may be admitted a thousand million times an hour between them. */
export function admitLimit(keys) {
  const count = ADMITTED_PER_HOUR / keys
  return { count, windowMs: HOUR_MS, text: `${count}/hour` }
}

const MOST = 1_000_000_000

/**
 * A charge is repaid before its key is asked again: after 1 ns where that is one or two calls later, and
 * after 3.6 µs where it is thousands. No call could be so fast as to meet the one before.
 *
 * The windows are as long as that allows. A window that ends costs the `Map`s and the packages a new
 * record, which an ordinary caller's usual request does not.
 */
export function idleLimit(keys) {
  if (keys <= 2) return { count: MOST, windowMs: 1000, text: `${MOST}/second` }
  return { count: MOST, windowMs: HOUR_MS, text: `${MOST}/hour` }
}

/**
 * Used up by one call. A day and not an hour, because the sliding Map's windows are aligned to
 * the clock: a run that crosses the end of one would be given another unit.
 */
export const DENY = { count: 1, windowMs: DAY_MS, text: '1/day' }

/** Small enough to be reached by hand, to see that a subject counts before it is timed. */
export const PROBE = { count: 3, windowMs: DAY_MS, text: '3/day' }

/** For suites that don't count keys. */
export const ADMIT = admitLimit(1)

/** One call keeps a key alive for a quarter of an hour: in the memory suite none may expire unseen. */
export const LIVE = { count: 100, windowMs: DAY_MS, text: '100/day' }
