import { describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { between, type Crowd, type Service, serve } from './service.ts'

/** Services, with what each can do in a second and in how many at a time it does that. */
const SERVICES: readonly (readonly [string, Service, perSecond: number, together: number])[] = [
  ['a pool of 10', { needMs: () => 50, speed: 10 }, 200, 10],
  ['a pool of 100', { needMs: () => 50, speed: 100 }, 2_000, 100],
  ['a fast pool of 4', { needMs: () => 5, speed: 4 }, 800, 4],
  ['slow requests', { needMs: () => 500, speed: 30 }, 60, 30],
  ['a shared processor', { needMs: () => 50, speed: (n) => Math.min(1, 20 / n) }, 400, 20],
  [
    'one that more requests make slower',
    { needMs: () => 50, speed: (n) => 1 / (1 + (n / 20) ** 2) },
    200,
    20,
  ],
]
const SEEDS = byLength([1], [1, 2])

describe.each(SERVICES)('%s', (_, service, perSecond, together) => {
  it.each(byLength([1.5, 10], [1.5, 3, 10]))(
    '%d times as much as it can do: it does nearly all it can',
    (times) => {
      for (const seed of SEEDS) {
        const rate = (ms: number) => perSecond * (ms < 20_000 || ms >= 60_000 ? 0.5 : times)
        const run = serve(service, { seed, seconds: 80, rate })
        expect(between(run, 0, 20).refused).toBe(0)
        const during = between(run, 35, 60)
        expect(during.rate).toBeGreaterThan(0.88 * perSecond)
        expect(during.medianMs).toBeLessThan(4 * service.needMs(0))
        // What the time before has left is worked off, and then nothing is refused.
        expect(between(run, 65, 80).refused).toBe(0)
        expect(run.states.at(-1)?.baselineMs).toBeLessThan(1.1 * service.needMs(0))
      }
    },
  )

  it('refuses nothing of what fits, not after an overload either: bursts, and 70 % of what it can do', () => {
    for (const seed of SEEDS) {
      const burst = [5, 10, 15, 50, 55].map((s) => [s * 1000, together / 2] as const)
      const rate = (ms: number) => perSecond * (ms >= 20_000 && ms < 30_000 ? 3 : 0.7)
      const run = serve(service, { seed, seconds: 60, rate, burst })
      expect(between(run, 0, 20).refused).toBe(0)
      expect(between(run, 20, 30).refused).toBeGreaterThan(0)
      expect(between(run, 35, 60).refused).toBe(0)
    }
  })
})

/** A dependency that is so many times slower for most of an hour, or of so many seconds; it can do any number of requests at once. */
function slowHour(times: number, seed: number, perSecond = 100, seconds = 3_600) {
  const isSlow = (ms: number) => ms >= 60_000 && ms <= (seconds - 100) * 1_000
  const needMs = (ms: number) => (isSlow(ms) ? 20 * times : 20)
  const crowd: Crowd = { seed, seconds, rate: () => perSecond }
  return serve({ needMs, speed: () => 1 }, crowd)
}

it('a dependency of twice the latency for an hour refuses nothing and does not become the baseline', () => {
  const seconds = byLength(1_200, 3_600)
  const run = slowHour(2, 1, 100, seconds)
  expect(between(run, 0, seconds).refused).toBe(0)
  expect(run.states.at(-120)?.latencyMs).toBeGreaterThan(20)
  for (const { baselineMs } of run.states.slice(60)) expect(baselineMs).toBeLessThan(15)
})

it('one of six times the latency: a lower limit does not help, so it is given up', () => {
  const seconds = byLength(1_200, 3_600)
  const run = slowHour(6, 1, 400, seconds)
  expect(between(run, 60, seconds).share).toBeLessThan(0.01)
  for (const { baselineMs } of run.states.slice(60)) expect(baselineMs).toBeLessThan(15)
  // And the latency that was accepted is forgotten with it: overload is seen as before.
  expect(run.states.at(-1)?.latencyMs).toBeLessThan(20)
})

it('refuses background first, then normal, and critical requests last', () => {
  for (const seed of SEEDS) {
    const priorities = ['critical', 'normal', 'background'] as const
    const rate = (ms: number) => (ms < 10_000 ? 100 : 300)
    const service = { needMs: () => 50, speed: 10 }
    const run = serve(service, { seed, seconds: 60, rate, priorities })
    const shareOf = (priority: string) =>
      between({ ...run, came: run.came.filter((one) => one.priority === priority) }, 15, 60).share
    // 100 a second of each, and 200 fit.
    expect(shareOf('critical')).toBeLessThan(0.03)
    expect(shareOf('normal')).toBeLessThan(0.25)
    expect(shareOf('background')).toBeGreaterThan(0.75)
  }
})

it('stays within its bounds', () => {
  const service = { needMs: () => 50, speed: 10 }
  const options = { min: 30, max: 40 }
  const { states } = serve(service, { seed: 1, seconds: 40, rate: () => 2_000, options })
  const limits = states.map(({ limit }) => limit)
  expect(Math.min(...limits)).toBe(30)
  expect(Math.max(...limits)).toBe(40)
  expect(Math.max(...states.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(40)
})
