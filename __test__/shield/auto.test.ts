import { FakeClock } from 'ratethrottle'
import { shield } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { type Group, type Run, type Service, serve } from './virtual-service.ts'

// The service can do 500 requests a second: each takes 2 ms, give or take half.
const CAPACITY = 500
const SEEDS = [1, 2, 3]
const usual = { seconds: 60, costMs: () => 2 }

/** People who are there all the time, and others who stay for 20 s each. */
const regulars: Group = { name: 'regulars', rate: () => 100, source: (n) => `10.0.${n % 50}.1` }
const people = (rate: (ms: number) => number, burst = 1): Group => ({
  name: 'people',
  rate,
  burst,
  source: (n, ms, random) => {
    const visit = Math.floor(ms / 100) - Math.floor(random() * 200)
    return `11.${(visit >> 8) & 255}.${visit & 255}.${burst === 1 ? 7 : Math.floor(n / burst) % 200}`
  },
})
const botnet = (times: number, from: number, until: number): Group => ({
  name: 'bots',
  rate: (ms) => (ms >= from * 1000 && ms < until * 1000 ? times * CAPACITY : 0),
  source: (n) => `66.${(n >> 8) & 127}.${n & 255}.${1 + (n % 250)}`,
})

/** Of a group's requests in this time: the share that was served, served requests a second, and their times. */
function between(run: Run, group: string, from: number, until: number) {
  const all = run.answers.filter(
    (one) => one.group === group && one.atMs >= from * 1000 && one.atMs < until * 1000,
  )
  const served = all.filter(({ isServed }) => isServed)
  const took = served.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  return {
    share: served.length / all.length,
    rate: served.length / (until - from),
    p99: took[Math.floor(took.length * 0.99)] ?? 0,
  }
}

const refused = (run: Run) => run.answers.filter(({ isServed }) => !isServed).length

describe.each([1.2, 2, 5])('a botnet of %d times what the service can do', (times) => {
  const groups = [regulars, people(() => 80), botnet(times, 90, 150)]
  const runs = SEEDS.map((seed) => serve({ ...usual, seconds: 180, seed, groups }))

  it('is seen within two seconds', () => {
    for (const { states } of runs) {
      const began = states.find(({ pressure }) => pressure)?.atMs ?? 0
      expect(began).toBeGreaterThan(90_000)
      expect(began).toBeLessThan(92_500)
    }
  })

  it('leaves regulars what they want, at nearly the usual latency once the queue is worked off', () => {
    for (const run of runs) {
      expect(between(run, 'regulars', 90, 150).share).toBe(1)
      expect(between(run, 'regulars', 97, 150).p99).toBeLessThan(250)
    }
  })

  it('does not come and go', () => {
    for (const run of runs) {
      const during = run.states.filter(({ atMs }) => atMs > 93_000 && atMs < 150_000)
      expect(during.filter(({ pressure }) => !pressure)).toEqual([])
      for (let from = 97; from < 150; from++) {
        expect(between(run, 'regulars', from, from + 1).p99).toBeLessThan(400)
      }
    }
  })

  it('lets in most of what can be done beside the refusals', () => {
    for (const run of runs) {
      const rate = ['regulars', 'people', 'bots']
        .map((group) => between(run, group, 105, 150).rate)
        .reduce((sum, one) => sum + one)
      // A refusal costs 0.2 ms.
      const possible = (1000 - 0.2 * (180 + times * CAPACITY)) / 1.8
      expect(rate / possible).toBeGreaterThan(0.7)
      expect(rate / possible).toBeLessThan(1)
    }
  })

  it('leaves people a share, and all of it within seconds after its end', () => {
    for (const run of runs) {
      // From when the queue has been worked off.
      const from = times === 5 ? 97 : 93
      expect(between(run, 'people', from, from + 5).share).toBeGreaterThan(times === 5 ? 0.1 : 0.25)
      expect(between(run, 'people', 105, 150).share).toBeGreaterThan(times === 5 ? 0.05 : 0.15)
      expect(between(run, 'people', 165, 180).share).toBeGreaterThan(0.95)
      expect(run.states.at(-1)).toMatchObject({ pressure: false, newcomerShare: 1 })
      const calm = run.states.findLast(({ pressure }) => pressure)?.atMs ?? 0
      expect(calm).toBeLessThan(162_000)
    }
  })
})

it.each<[string, Partial<Service>]>([
  ['80 % of what it can do', { groups: [regulars, people(() => 300)] }],
  ['pages of six requests at once', { groups: [regulars, people(() => 250, 6)] }],
  [
    'a crowd of four times as many people, that fits',
    { groups: [regulars, people((ms) => (ms > 30_000 ? 300 : 75))] },
  ],
  ['a pause of 300 ms', { pauses: [[20_000, 300]] }],
  [
    'the pauses of a garbage collector',
    { pauses: Array.from({ length: 30 }, (_, i) => [i * 2000, 60] as const) },
  ],
  ['code that is compiled first', { costMs: (ms) => (ms < 500 ? 8 : 2) }],
  [
    'a dependency that takes twice as long for a while',
    { dependencyMs: (ms) => (ms > 20_000 ? 80 : 40) },
  ],
  ['a dependency that takes ten times as long', { dependencyMs: (ms) => (ms > 20_000 ? 400 : 40) }],
])('refuses no one who is no harm: %s', (_, more) => {
  for (const seed of SEEDS) {
    const run = serve({ ...usual, seed, groups: [regulars, people(() => 150)], ...more })
    expect(refused(run)).toBe(0)
    expect(run.states.some(({ pressure }) => pressure)).toBe(false)
  }
})

it('in watch mode refuses no one, and says what it would have done', () => {
  const groups = [regulars, people(() => 80), botnet(3, 30, 40)]
  const { answers, states } = serve({ ...usual, seed: 1, seconds: 50, groups, mode: 'watch' })
  expect(answers.every(({ isServed }) => isServed)).toBe(true)
  const before = states.filter(({ atMs }) => atMs < 30_000).at(-1)
  expect(before).toMatchObject({ pressure: false, wouldRefuse: 0 })
  expect(states.some(({ pressure }) => pressure)).toBe(true)
  expect(states.at(-1)?.wouldRefuse).toBeGreaterThan(5_000)
  expect(states.at(-1)?.refused).toBe(0)
})

describe('a program by hand', () => {
  /** A queue elsewhere, of which 200 requests a second are worked off; from 60 s on 300 come instead of 100. */
  function pool(told: 'same object' | 'copy' | 'never') {
    const clock = new FakeClock(5_000_000)
    const guard = shield({ mode: 'enforce', maxRate: 'auto', clock })
    const queue: { ip: string }[] = []
    let refusals = 0
    let pressure = 0
    for (let ms = 0; ms < 90_000; ms += 5) {
      clock.advance(5)
      const arriving = ms >= 60_000 ? (ms % 10 === 0 ? 3 : 0) : ms % 10 === 0 ? 1 : 0
      for (let i = 0; i < arriving; i++) {
        const request = { ip: i > 0 ? `66.0.${ms % 250}.${i}` : `10.0.0.${ms % 50}` }
        if (guard.decide(request).allowed) queue.push(request)
        else refusals++
      }
      // 200 a second.
      const done = queue.shift()
      if (done === undefined) continue
      if (told !== 'never') guard.settle(told === 'copy' ? { ...done } : done, 200)
      if (guard.state().pressure) pressure++
    }
    guard.close()
    return { refusals, pressure }
  }

  it('that tells how each request ended is protected, though its event loop is not measured', () => {
    const { refusals, pressure } = pool('same object')
    expect(pressure).toBeGreaterThan(0)
    expect(refusals).toBeGreaterThan(500)
  })

  it.each(['copy', 'never'] as const)(
    'whose requests can not be timed has no one refused for that: %s',
    (how) => {
      expect(pool(how).refusals).toBe(0)
    },
  )
})

describe('an overload whose requests are', () => {
  it.each([
    ['never told to end', () => false],
    ['told to end if they fail', (n: number) => n % 50 === 0],
  ])('%s: what is let in is not far from what can be done', (_, isTold) => {
    const groups = [regulars, people(() => 80), botnet(2, 60, 90)]
    const run = serve({ ...usual, seed: 1, seconds: 90, groups, isTold })
    const rate = ['regulars', 'people', 'bots']
      .map((group) => between(run, group, 75, 90).rate)
      .reduce((sum, one) => sum + one)
    expect(rate).toBeGreaterThan(0.6 * CAPACITY)
    expect(between(run, 'regulars', 60, 90).share).toBe(1)
  })
})

it('is there by default in watch mode, but not for a shield that others may share', () => {
  const accepted = "maxRate must be a rate such as '1000/second' for a shield with a name"
  expect(() => shield({ name: 'auto', maxRate: 'auto' })).toThrow(accepted)
  expect(() => shield({ name: 'auto', shared: true, maxRate: 'auto' })).toThrow(accepted)
  const guard = shield({ name: 'auto' })
  expect(guard.decide({ ip: '10.0.0.1' }).allowed).toBe(true)
  guard.close()
})
