import { decayed } from './learning.ts'

/*
 * How many requests may be in flight. A function of what was known and what was measured.
 *
 * Requests that take much longer than at ease wait for each other: the limit falls, until they no longer do. If it
 * falls and they take as long as before, they wait for something else, a dependency that has become slow: then the
 * limit goes back, and their latency is accepted. It is forgotten as soon as they are faster, and the baseline never
 * learns it.
 */

/** What was measured between two ticks. */
export interface LimitSample {
  readonly elapsedMs: number
  /** The most that were in flight at a time, and how many ended. */
  readonly peakInFlight: number
  readonly ended: number
  /** Latency of the fastest tenth, and the same at ease; 0 if unknown. */
  readonly latencyMs: number
  readonly baselineMs: number
}

export interface LimitBounds {
  readonly min: number
  readonly max: number
}

/** All that is kept from one tick to the next. */
export interface LimitState {
  readonly limit: number
  /** A latency above the baseline that a lower limit did not improve. 0 if there is none. */
  readonly acceptedMs: number
  /** How long requests have been waiting for each other. */
  readonly slowMs: number
  /** What there was when the limit began to fall. */
  readonly trial: Trial | undefined
}

interface Trial {
  readonly limit: number
  readonly latencyMs: number
  /** How long the limit has been low enough to show whether that helps. */
  readonly lowMs: number
}

/** Requests wait for each other if they take longer than this many times the baseline, and by this much. */
const TOLERANCE = 2.5
const NOISE_MS = 10
const PATIENCE_MS = 500
/** By how much the limit falls within one latency, at most. */
const FALL = 0.5
/** A tick is this long, and a limit falls no faster than ticks come. */
const TICK_MS = 250
/** By how much it grows in a second while it is not used. */
const GROWTH_UNUSED = 1.1

/** A trial is over at this share of its limit, after as many latencies and this time. */
const LOW = 0.5
const LATENCIES = 2
const SETTLE_MS = 500
/** It has shown that requests wait for something else if they take at least this share of the time they took. */
const UNIMPROVED = 0.8
/** No more than this many times the baseline is accepted: a dependency that hangs has to fail fast. */
const MOST_ACCEPTED = 10
const FORGET_MS = 5_000

/** The limit of a service of which nothing is known. More is let in only as requests end. */
const FIRST = 200

export function firstLimit(bounds: LimitBounds): LimitState {
  return { limit: restOf(bounds), acceptedMs: 0, slowMs: 0, trial: undefined }
}

/** Where the limit goes while it is not used. */
function restOf({ min, max }: LimitBounds): number {
  return Math.min(max, Math.max(min, FIRST))
}

/** The limit after another tick. */
export function stepLimit(
  before: LimitState,
  sample: LimitSample,
  bounds: LimitBounds,
): LimitState {
  const { latencyMs, baselineMs, elapsedMs } = sample
  const acceptedMs = forget(before.acceptedMs, latencyMs, baselineMs, elapsedMs)
  const referenceMs = Math.max(baselineMs, acceptedMs)
  const isSlow =
    baselineMs > 0 && latencyMs > Math.max(TOLERANCE * referenceMs, referenceMs + NOISE_MS)
  const state = { ...before, acceptedMs }
  return isSlow ? fallen(state, sample, referenceMs, bounds) : grown(state, sample, bounds)
}

function forget(before: number, latencyMs: number, baselineMs: number, elapsedMs: number): number {
  if (before === 0 || latencyMs >= before) return before
  const after = decayed(before, latencyMs, elapsedMs, FORGET_MS)
  return after < TOLERANCE * baselineMs ? 0 : after
}

function grown(state: LimitState, sample: LimitSample, bounds: LimitBounds): LimitState {
  const { limit } = state
  const { peakInFlight, ended, elapsedMs } = sample
  const ticks = Math.min(4, elapsedMs / TICK_MS)
  const calm = { ...state, slowMs: 0, trial: undefined }
  if (peakInFlight > limit / 2) {
    // Requests that do not end say nothing good about the limit.
    const more = Math.min(ended, Math.sqrt(limit) * ticks)
    return { ...calm, limit: Math.min(bounds.max, limit + more) }
  }
  const rest = restOf(bounds)
  if (limit >= rest) return calm
  return { ...calm, limit: Math.min(rest, limit * GROWTH_UNUSED ** (ticks / 4)) }
}

/** While requests take longer and longer, they still wait for those of before. */
function trialOf(before: Trial | undefined, limit: number, latencyMs: number): Trial {
  if (before === undefined) return { limit, latencyMs, lowMs: 0 }
  if (latencyMs <= before.latencyMs / UNIMPROVED) return before
  return { limit: Math.max(limit, before.limit / 2), latencyMs, lowMs: 0 }
}

function fallen(
  state: LimitState,
  sample: LimitSample,
  referenceMs: number,
  { min, max }: LimitBounds,
): LimitState {
  const { latencyMs, baselineMs, peakInFlight, elapsedMs } = sample
  const slowMs = state.slowMs + elapsedMs
  // A burst that fits is over by then.
  if (slowMs < PATIENCE_MS + latencyMs) return { ...state, slowMs }
  // A limit that is not reached says nothing: the fall begins at what is in flight.
  const from = Math.min(state.limit, Math.max(min, peakInFlight))
  const trial = trialOf(state.trial, from, latencyMs)
  const isLow = state.limit <= Math.max(min, LOW * trial.limit)
  const lowMs = isLow ? trial.lowMs + elapsedMs : 0
  const isShown = lowMs > SETTLE_MS + LATENCIES * latencyMs
  if (isShown && latencyMs >= UNIMPROVED * trial.latencyMs) {
    const acceptedMs = Math.min(latencyMs, MOST_ACCEPTED * baselineMs)
    return { limit: Math.min(max, trial.limit * 1.2), acceptedMs, slowMs: 0, trial: undefined }
  }
  // It has helped: the next trial begins where this one ends.
  if (isShown) return { ...state, slowMs, trial: { limit: state.limit, latencyMs, lowMs: 0 } }
  // While a trial waits for its result, the limit stays.
  if (isLow) return { ...state, slowMs, trial: { ...trial, lowMs } }
  const gradient = Math.max(FALL, (TOLERANCE * referenceMs) / latencyMs)
  const limit = from * gradient ** (elapsedMs / Math.max(TICK_MS, latencyMs))
  return { ...state, limit: Math.max(min, limit), slowMs, trial }
}
