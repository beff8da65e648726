/*
 * What is learned while a process is at ease, and kept while it is not. A baseline that goes on learning takes the
 * latency of a long overload for the usual one, and then lets everything in.
 */

/** Exponential mean of a value that is measured at any distance in time. */
export function decayed(before: number, now: number, elapsedMs: number, spanMs: number): number {
  return now + (before - now) * Math.exp(-elapsedMs / spanMs)
}

/** A latency that falls is believed within this time. */
const FALL_MS = 30_000
/** One that rises: by this factor an hour at most. */
const RISE_PER_HOUR = 1.1
const HOUR_MS = 3_600_000
/** No request takes less, as far as ratios go: a fifth of a millisecond is noise. */
const LEAST_MS = 1

/**
 * The latency of a process that is at ease.
 *
 * @param latencyMs the latest latency, `undefined` if there is none
 * @param isFrozen whether nothing may be learned now; the first latency always is
 */
export function learnBaseline(
  before: number,
  latencyMs: number | undefined,
  elapsedMs: number,
  isFrozen: boolean,
): number {
  if (latencyMs === undefined) return before
  const seen = Math.max(LEAST_MS, latencyMs)
  if (before === 0) return seen
  // Under pressure a low latency is as good as at any time.
  if (seen < before) return decayed(before, seen, elapsedMs, FALL_MS)
  if (isFrozen) return before
  return Math.min(seen, before * RISE_PER_HOUR ** (Math.min(elapsedMs, HOUR_MS) / HOUR_MS))
}

const USUAL_MS = 120_000
/** Until then every rate is new. */
const FIRST_MS = 10_000

/** Requests a second while there is no pressure. 0 until enough were seen. */
export function learnRate(
  before: number,
  rate: number,
  ageMs: number,
  elapsedMs: number,
  isFrozen: boolean,
): number {
  if (isFrozen || ageMs < FIRST_MS) return before
  return before === 0 ? rate : decayed(before, rate, elapsedMs, USUAL_MS)
}
