import { ROUTE_OUTCOMES, type RouteOutcome } from '../counting.ts'

/*
 * Where counts are in the buffers of the addon. crate/core/src/insight/layout.rs lays them out; a test compares.
 */

/** Counts of one limit. From the 17th on: denials, by the limit that denied. */
export const FIELDS = 32
/** Where a limit's denials begin. */
export const DENIED = 16
/** Rows of limits: the last is for those beyond 64. */
export const LIMITS = 65
/** Rows of routes: the last is for those beyond 256. */
export const ROUTES = 257
const OUTCOMES = 8
/** Cells of a distribution of times. */
export const CELLS = 64
const ROUTE_COUNTS = LIMITS * FIELDS
const TIME_COUNTS = ROUTE_COUNTS + ROUTES * OUTCOMES
/** All of them. */
export const COUNTS: number = TIME_COUNTS + 3 * CELLS

/** The counts of a limit that are no denials. */
export const FIELD = {
  admitted: 0,
  dry: 1,
  refunded: 2,
  waited: 3,
  gaveUp: 4,
  withoutStore: 5,
} as const

/** The distributions. */
export const TIMES = { decision: 0, store: 1, wait: 2 } as const

/** Where a limit's counts begin. */
export function limitStart(row: number): number {
  return row * FIELDS
}

/** Where a count of a route is. */
export function routeCount(row: number, outcome: RouteOutcome): number {
  return ROUTE_COUNTS + row * OUTCOMES + ROUTE_OUTCOMES.indexOf(outcome)
}

/** Where a distribution begins. */
export function timesStart(times: number): number {
  return TIME_COUNTS + times * CELLS
}

/** The first cell ends here; every second one doubles. In nanoseconds. */
const FIRST = 64

/** The cell of a time: two for each power of two, from 64 ns on. */
export function cellOf(ms: number): number {
  const times = (ms * 1e6) / FIRST
  if (!(times >= 1)) return 0
  const octave = Math.floor(Math.log2(times))
  const half = times >= 1.5 * 2 ** octave ? 1 : 0
  return Math.min(CELLS - 1, 1 + 2 * octave + half)
}

/** The time below which all of a cell lies, in milliseconds; of the last one `Infinity`. */
export function upperBound(cell: number): number {
  if (cell === CELLS - 1) return Infinity
  const octave = Math.floor(cell / 2)
  const factor = cell % 2 === 0 ? 1 : 1.5
  return (FIRST * factor * 2 ** octave) / 1e6
}
