import { decayed } from './learning.ts'

/*
 * An event loop can be overloaded and punctual: Node accepts one new connection each time it comes round, so a flood of
 * new connections waits where no one can measure it. Then the event loop has no time left, though it is not late.
 */

/** What is looked at. */
export interface Work {
  readonly utilization: number
  readonly startedRate: number
  readonly endedRate: number
  readonly usualRate: number
  /** Time of the event loop for each request while the process is at ease. 0 until it is known. */
  readonly costMs: number
}

/** An event loop with this much work has none left. */
const FULL = 0.98
/** Requests account for at least this much of it: what else there is to do is not overload. */
const EXPLAINED = 0.5
/** More come than usual. */
const MORE = 1.2
/** Of a process with less work, a request says nothing of what it costs. */
const BUSY = 0.05
const COST_MS = 30_000

/** Whether requests take all the time of the event loop. */
export function isFull({ utilization, startedRate, endedRate, usualRate, costMs }: Work): boolean {
  const isMore = usualRate > 0 && startedRate > MORE * usualRate
  return isMore && utilization >= FULL && (endedRate * costMs) / 1_000 >= EXPLAINED
}

/** What a request costs, after a tick of the process at ease. */
export function learnCost(
  before: number,
  { utilization, endedRate }: Pick<Work, 'utilization' | 'endedRate'>,
  elapsedMs: number,
): number {
  if (utilization < BUSY || endedRate < 1) return before
  const seen = (1_000 * utilization) / endedRate
  return before === 0 ? seen : decayed(before, seen, elapsedMs, COST_MS)
}
