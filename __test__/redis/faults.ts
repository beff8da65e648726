import type { AsyncLimiter } from 'ratethrottle'
import { RedisLimiter, type RedisLimiterOptions } from 'ratethrottle/redis'
import { onTestFinished } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'

/** A limiter that is closed at the end of the test. */
export function limiterForTest(limits: string, options: RedisLimiterOptions): RedisLimiter<string> {
  const limiter = new RedisLimiter(limits, options)
  onTestFinished(() => limiter.close())
  return limiter
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Waits until the condition holds. */
export async function until(
  true_: () => boolean | Promise<boolean>,
  ms = PATIENCE,
  what = 'it',
): Promise<void> {
  const end = performance.now() + ms
  while (!(await true_())) {
    if (performance.now() > end) throw new Error(`${what} did not come true in ${ms} ms`)
    await sleep(10)
  }
}

/** Waits until Redis has decided a call. */
export async function untilExact(limiter: RedisLimiter<string>, ms = PATIENCE): Promise<void> {
  await until(async () => {
    const before = failures(limiter)
    await limiter.check('is it back?', 0)
    return failures(limiter) === before
  }, ms)
}

/** Calls that Redis did not decide. */
export function failures(limiter: RedisLimiter<string>): number {
  return Object.values(limiter.stats().failures).reduce((sum, count) => sum + count, 0)
}

/** The outcome of a load of calls. */
export interface Load {
  readonly calls: number
  readonly admitted: number
  /** Calls that rejected; must be 0. */
  readonly errors: number
  /**
   * Milliseconds of the slowest call, and the 99.9th percentile. What a call took beyond its deadline is what it was later
   * than a timer of this process that was set with it: a busy machine delays both.
   */
  readonly longestMs: number
  readonly p999Ms: number
}

/** `deadlineMs` of these limiters. */
const DEADLINE_MS = 50
/** A process that stood still does not send all at once what it has missed. */
const MOST_AT_ONCE = 20

/** Calls for one key at an even rate, each timed. If the fault has a name, the figures are printed. */
export async function load(
  limiter: RedisLimiter<string>,
  { key = 'k', perSecond = 500, ms = 1_000, cost = 1, fault = '' },
): Promise<Load> {
  const times: number[] = []
  const tally = { admitted: 0, errors: 0 }
  const calls: Promise<void>[] = []
  const start = performance.now()
  const least = (perSecond * ms) / 2_000
  for (let asked = 0; performance.now() - start < ms || calls.length < least; await sleep(2)) {
    const due = ((performance.now() - start) * perSecond) / 1_000
    asked = Math.max(asked, due - MOST_AT_ONCE)
    for (; asked < due; asked++) calls.push(timed(limiter, key, cost, times, tally))
  }
  await Promise.all(calls)
  times.sort((a, b) => a - b)
  const longestMs = times.at(-1) ?? 0
  const p999Ms = times[Math.ceil(times.length * 0.999) - 1] ?? 0
  if (fault !== '') {
    const figures = `${times.length} calls, p99.9 ${p999Ms.toFixed(1)} ms, longest ${longestMs.toFixed(1)} ms`
    console.log(`${fault}: ${figures}`)
  }
  return { ...tally, calls: times.length, longestMs, p999Ms }
}

async function timed(
  limiter: RedisLimiter<string>,
  key: string,
  cost: number,
  times: number[],
  tally: { admitted: number; errors: number },
): Promise<void> {
  const start = performance.now()
  let over: number | undefined
  const timer = setTimeout(() => {
    over = performance.now()
  }, DEADLINE_MS)
  try {
    const { allowed } = await limiter.check(key, cost)
    if (allowed) tally.admitted++
  } catch {
    tally.errors++
  }
  clearTimeout(timer)
  const now = performance.now()
  times.push(over === undefined ? Math.min(now - start, DEADLINE_MS) : DEADLINE_MS + now - over)
}

/** Whether one unit of the key is admitted, and charged. */
export async function admits(limiter: AsyncLimiter, key: string): Promise<boolean> {
  return (await limiter.check(key)).allowed
}
