import { decayed, learnBaseline, learnRate } from './learning.ts'
import { isFull, learnCost } from './saturation.ts'

/*
 * When a process is at its limit, and what it can do then. Everything here is a function of what was known and what
 * was measured; `load-meter.ts` measures.
 *
 * No single pause is overload. A queue that stays is, and only while it is not being worked off: after a pause of the
 * garbage collector the queue is long too, but gets shorter.
 */

/** What was measured between two ticks. */
export interface LoadSample {
  readonly elapsedMs: number
  /** Share of the time in which the event loop had work, 0 to 1. */
  readonly utilization: number
  /** Share of the time in which the process had a processor. */
  readonly computing: number
  /** How late the event loop was, at the least late moment: a pause between two punctual moments is not in it. */
  readonly delayMs: number
  /** Requests that began and ended in this time, and that are being served. */
  readonly started: number
  readonly ended: number
  /** Requests that were refused for want of capacity. */
  readonly refused: number
  readonly inFlight: number
  /** What the fastest tenth of the requests that ended took at most; `undefined` if too few ended. */
  readonly latencyMs: number | undefined
}

/** The load of a process. */
export interface LoadReading {
  /** Requests a second that the process can serve now; `Infinity` while there is no pressure. */
  readonly capacity: number
  /** 1 is its limit. */
  readonly load: number
  readonly delayMs: number
  readonly utilization: number
  readonly inFlight: number
  /** Latency of the fastest tenth of the requests, the last one known. 0 until one is known. */
  readonly latencyMs: number
  /** The same while the process is at ease. Not learned under pressure. 0 until it is known. */
  readonly baselineMs: number
}

/** All that is kept from one tick to the next. */
export interface LoadState extends LoadReading {
  /** Whether only the event loop counts. */
  readonly onlyLoop: boolean
  /** Whether no more is let in than the capacity. */
  readonly isFollowed: boolean
  /** Since the first request. */
  readonly ageMs: number
  /** How long there has been evidence of overload; heavy overload counts more. */
  readonly evidenceMs: number
  /** How long there has been none under pressure. */
  readonly calmMs: number
  /** The longest delay and latency of late. */
  readonly peakDelayMs: number
  readonly peakLatencyMs: number
  /** The delay and the utilization of the last second. */
  readonly meanDelayMs: number
  readonly meanUtilization: number
  /** Requests a second, of the last second. */
  readonly startedRate: number
  readonly endedRate: number
  readonly refusedRate: number
  /** Requests a second while there is no pressure, of the last minutes. */
  readonly usualRate: number
  /** Time of the event loop for each request then. */
  readonly costMs: number
  /** Capacity is not cut below this. */
  readonly floor: number
}

/** Nothing is known. */
export const AT_EASE: LoadState = {
  capacity: Number.POSITIVE_INFINITY,
  load: 0,
  delayMs: 0,
  utilization: 0,
  inFlight: 0,
  latencyMs: 0,
  baselineMs: 0,
  onlyLoop: false,
  isFollowed: true,
  ageMs: 0,
  evidenceMs: 0,
  calmMs: 0,
  peakDelayMs: 0,
  peakLatencyMs: 0,
  meanDelayMs: 0,
  meanUtilization: 0,
  startedRate: 0,
  endedRate: 0,
  refusedRate: 0,
  usualRate: 0,
  costMs: 0,
  floor: 0,
}

/** An event loop with this much work has no time left. */
const SATURATED = 0.95
/** An event loop that is late by this much at every moment has a queue. */
const LATE_MS = 30
/** One that is late by this much counts in full; by less for less, by more for more. */
const HEAVY_MS = 150
const LIGHTEST = 0.6
/** A queue is being worked off when it is below this share of its peak, which is forgotten in this time. */
const FALLING = 0.75
const PEAK_MS = 1_500
const MEAN_MS = 1_000
/** Under pressure also when it is below this share of its mean: what is refused is worked off slowly. */
const SHRINKING = 0.92
/** Below this nothing is wrong. */
const RELAXED = 0.85
/** Below these, more requests may come. */
const GOAL = 0.92
const PUNCTUAL_MS = 25

/** How much evidence makes pressure. */
const ENOUGH_MS = 1_000
/** While the code is being compiled, a process that is strong enough falls behind for a moment. */
const COLD_MS = 3_000
const ENOUGH_COLD_MS = 2_000
/** One tick counts for at most this long, however long it was: it may be one pause. */
const MOST_OF_ONE_TICK_MS = 400
/** A process with this share of a processor is not kept from computing. */
const COMPUTING = 0.9

/** The queue of requests outside of this event loop: how much slower than at ease, and by how much in ms. */
const SLOW_AND_GROWING = 4
const SLOW = 10
const SLOW_BY_MS = 200

/** What is left after one tick of overload, at least: what is let in follows about a second later. */
const CUT = 0.92
/** Per second, for each share of the time that the event loop could work more; and while the capacity is not used. */
const GROWTH = 0.6
const MOST_GROWTH = 0.15
const GROWTH_UNUSED = 1.5
/** Below this share of the capacity it is not used. */
const USED = 0.7
/** Requests refused up to this share of the capacity say nothing. */
const FEW = 0.02
/** Pressure is over after this long without a sign of it, once the capacity is this many times what comes. */
const CALM_MS = 3_000
const AMPLE = 2
/** Capacity is never cut below this share of what it was at first. */
const FLOOR = 0.25

/** What is known after another tick. */
export function step(before: LoadState, sample: LoadSample): LoadState {
  const { elapsedMs, utilization, delayMs, inFlight } = sample
  const isIdle = inFlight === 0 && sample.started === 0
  const latencyMs = sample.latencyMs ?? (isIdle ? before.baselineMs : before.latencyMs)
  const ageMs = before.ageMs + elapsedMs
  const measured = {
    ...before,
    ageMs,
    utilization,
    delayMs,
    inFlight,
    latencyMs,
    peakDelayMs: peakOf(before.peakDelayMs, delayMs, elapsedMs),
    peakLatencyMs: peakOf(before.peakLatencyMs, latencyMs, elapsedMs),
    startedRate: rateOf(before.startedRate, sample.started, elapsedMs, ageMs),
    endedRate: rateOf(before.endedRate, sample.ended, elapsedMs, ageMs),
    refusedRate: rateOf(before.refusedRate, sample.refused, elapsedMs, ageMs),
    meanDelayMs: decayed(before.meanDelayMs, delayMs, elapsedMs, MEAN_MS),
    meanUtilization: decayed(before.meanUtilization, utilization, elapsedMs, MEAN_MS),
  }
  const known = { ...measured, load: loadOf(measured) }
  const decided = hasPressure(before) ? control(known, elapsedMs) : watch(known, sample)
  const cost = { utilization: measured.meanUtilization, endedRate: measured.endedRate }
  const isFrozen = hasPressure(decided) || decided.evidenceMs > 0 || decided.load >= RELAXED
  return {
    ...decided,
    baselineMs: learnBaseline(before.baselineMs, sample.latencyMs, elapsedMs, isFrozen),
    costMs: isFrozen ? before.costMs : learnCost(before.costMs, cost, elapsedMs),
    usualRate: learnRate(before.usualRate, measured.startedRate, ageMs, elapsedMs, isFrozen),
  }
}

function hasPressure({ capacity }: LoadReading): boolean {
  return capacity < Number.POSITIVE_INFINITY
}

function peakOf(before: number, now: number, elapsedMs: number): number {
  return Math.max(now, decayed(before, 0, elapsedMs, PEAK_MS))
}

function rateOf(before: number, count: number, elapsedMs: number, ageMs: number): number {
  if (elapsedMs === 0) return before
  const now = (count * 1_000) / elapsedMs
  // At first the mean of all there is.
  return ageMs < 1_000
    ? before + ((now - before) * elapsedMs) / ageMs
    : decayed(before, now, elapsedMs, 1_000)
}

function loadOf(state: LoadState): number {
  const { utilization, delayMs, latencyMs, baselineMs } = state
  const loop = utilization * Math.min(10, Math.max(1, delayMs / HEAVY_MS))
  const isSlow = latencyMs >= baselineMs + SLOW_BY_MS && baselineMs > 0
  return isSlow ? Math.max(loop, Math.min(10, latencyMs / (SLOW_AND_GROWING * baselineMs))) : loop
}

/** Looks for overload while there is no pressure. */
function watch(state: LoadState, sample: LoadSample): LoadState {
  const isCold = state.ageMs < COLD_MS
  const evidenceMs = evidenceOf(state, sample, isCold ? 1 : 2)
  if (evidenceMs < (isCold ? ENOUGH_COLD_MS : ENOUGH_MS)) return { ...state, evidenceMs }
  const capacity = servedOf(state)
  return { ...state, evidenceMs: 0, calmMs: 0, capacity, floor: Math.max(1, capacity * FLOOR) }
}

function evidenceOf(state: LoadState, sample: LoadSample, heaviest: number): number {
  const { evidenceMs, delayMs } = state
  const countedMs = Math.min(sample.elapsedMs, MOST_OF_ONE_TICK_MS)
  if (isWorkingOff(state)) return Math.max(0, evidenceMs - countedMs / 2)
  if (isLate(state)) {
    const weight = Math.max(LIGHTEST, Math.min(heaviest, delayMs / HEAVY_MS))
    // A process that others keep from computing is late as well, while they do: that has to last longer.
    return evidenceMs + countedMs * weight * Math.min(1, sample.computing / COMPUTING)
  }
  // A loop without time left, of a process that others keep from computing, says nothing.
  if (isFull(state) && sample.computing >= COMPUTING) return evidenceMs + countedMs / 2
  return isQueued(state) ? evidenceMs + countedMs / 2 : Math.max(0, evidenceMs - 2 * countedMs)
}

/** Whether there is a queue that gets shorter. */
function isWorkingOff(state: LoadState): boolean {
  if (isLate(state)) return state.delayMs < FALLING * state.peakDelayMs
  return isQueued(state) && state.latencyMs < FALLING * state.peakLatencyMs
}

/** Whether the event loop has no time left, and work waits for it. */
function isLate({ utilization, delayMs }: LoadState): boolean {
  return utilization >= SATURATED && delayMs >= LATE_MS
}

/**
 * Whether requests wait elsewhere, as for a pool of connections: even the fastest are slow, and either fewer end than
 * begin, or more come than usual. A dependency that has become slow is neither.
 */
function isQueued(state: LoadState): boolean {
  const { latencyMs, baselineMs, startedRate, endedRate, usualRate } = state
  if (state.onlyLoop) return false
  const isSlower = (factor: number): boolean =>
    baselineMs > 0 && latencyMs >= Math.max(factor * baselineMs, baselineMs + SLOW_BY_MS)
  if (isSlower(SLOW_AND_GROWING) && startedRate > 1.1 * endedRate) return true
  return isSlower(SLOW) && usualRate > 0 && startedRate > 1.2 * usualRate
}

/** What was served while the process had no time left is what it can serve. */
function servedOf({ endedRate }: LoadState): number {
  return Math.max(1, endedRate)
}

/** Looks for the capacity while there is pressure. */
function control(state: LoadState, elapsedMs: number): LoadState {
  const isSlower =
    !state.onlyLoop &&
    state.latencyMs >= Math.max(2 * state.baselineMs, state.baselineMs + SLOW_BY_MS / 2)
  const isCalm = state.meanUtilization < GOAL && state.delayMs < PUNCTUAL_MS && !isSlower
  if (isCalm) return grown(state, elapsedMs)
  const { capacity, floor, startedRate } = state
  const isShrinking =
    isWorkingOff(state) || (isLate(state) && state.delayMs < SHRINKING * state.meanDelayMs)
  const isWorse = (isLate(state) || isFull(state) || isQueued(state)) && !isShrinking
  if (!isWorse) return { ...state, calmMs: 0 }
  if (!state.isFollowed) return { ...state, calmMs: 0, capacity: servedOf(state) }
  const factor = Math.max(CUT, 1 - 0.1 * state.load)
  // A capacity that no one wants says nothing: the cut begins at what is used.
  const wanted = state.refusedRate > FEW * capacity ? capacity : startedRate * 1.1
  const used = Math.max(floor, Math.min(capacity, wanted))
  return { ...state, calmMs: 0, capacity: Math.max(floor, used * factor ** share(elapsedMs)) }
}

function grown(state: LoadState, elapsedMs: number): LoadState {
  const calmMs = state.calmMs + elapsedMs
  const capacity = state.capacity * growthOf(state) ** (Math.min(elapsedMs, 1_000) / 1_000)
  const isOver = calmMs >= CALM_MS && capacity >= AMPLE * (state.startedRate + state.refusedRate)
  return { ...state, calmMs, capacity: isOver ? Number.POSITIVE_INFINITY : capacity }
}

/** By how much the capacity grows in a second. */
function growthOf({ startedRate, refusedRate, capacity, meanUtilization }: LoadState): number {
  const isUsed = startedRate > USED * capacity
  if (isUsed) return 1 + Math.min(MOST_GROWTH, GROWTH * Math.max(0, GOAL - meanUtilization))
  // Who refuses some and does not use it is about to let more in.
  return refusedRate > FEW * capacity ? 1 : GROWTH_UNUSED
}

/** How many ticks of the usual length a tick counts for. */
function share(elapsedMs: number): number {
  return Math.min(2, elapsedMs / 250)
}
