import { FakeClock, RateLimiter } from 'ratethrottle'
import { expect, test } from 'vitest'

/** Timers that fire some milliseconds late, as those of a busy process do. */
function lateBy(clock: FakeClock, lateMs: number) {
  return {
    now: () => clock.now(),
    setTimer: (due: () => void, ms: number) => clock.setTimer(due, ms + lateMs),
  }
}

async function outcomes(limit: string, lateMs: number, timeoutMs: number, count: number) {
  const clock = new FakeClock(1_000)
  const limiter = new RateLimiter(limit as '1/s', { clock: lateBy(clock, lateMs) })
  const seen: string[] = []
  for (let i = 0; i < count; i++) {
    const began = clock.now()
    limiter.wait('k', { maxWaitMs: timeoutMs }).then(
      () => seen.push('served'),
      () => seen.push(clock.now() === began ? 'refused at once' : 'refused late'),
    )
    await Promise.resolve()
  }
  await new Promise(setImmediate)
  for (let i = 0; i < 3 * timeoutMs; i++) {
    clock.advance(1)
    await new Promise(setImmediate)
  }
  limiter.close()
  return Object.fromEntries(
    ['served', 'refused at once', 'refused late'].map((what) => [
      what,
      seen.filter((one) => one === what).length,
    ]),
  )
}

for (const [limit, lateMs, timeoutMs, served] of [
  ['1/100ms', 3, 501, 6],
  ['1/100ms', 8, 505, 6],
  ['1/250ms', 5, 1_001, 5],
  ['1/50ms', 1, 500, 11],
] as const) {
  test(`a waiter that is in time by its place is served though timers are ${lateMs} ms late, ${limit}`, async () => {
    expect(await outcomes(limit, lateMs, timeoutMs, 40)).toEqual({
      served,
      'refused at once': 40 - served,
      'refused late': 0,
    })
  })
}
