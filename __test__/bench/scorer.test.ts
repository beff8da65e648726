import { describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { figuresOf, figuresOfScenario, load } from './range-modules.ts'

/** RateThrottle's scorer, as it is rebuilt for the range. */
interface Scored {
  check(ip: string, path: string, now: number): number
}

const made = async (): Promise<Scored> => new (await load('scorer')).Scorer()

/** Which request of a steady caller is the first that is refused, and for how long the third refusal lasts. */
async function firstRefused(perSecond: number, most: number) {
  const scorer = await made()
  const refusals: { request: number; ms: number }[] = []
  for (let request = 1; request <= most; request++) {
    const ms = scorer.check('a', '/', (request * 1_000) / perSecond)
    if (ms > 0) refusals.push({ request, ms })
  }
  return refusals
}

/** What a steady caller of one path is told to wait, request by request. */
function waits(scorer: Scored, ip: string, steady: Steady) {
  const { count, gapMs, fromMs = 0 } = steady
  return Array.from({ length: count }, (_, i) => scorer.check(ip, '/', fromMs + i * gapMs))
}

interface Steady {
  count: number
  gapMs: number
  fromMs?: number
}

describe("RateThrottle's scorer, as it is known to behave", () => {
  it('flags 20 requests/s at request 200, and blocks at 202 for an hour', async () => {
    const refusals = await firstRefused(20, 210)
    expect(refusals[0]?.request).toBe(200)
    expect(refusals[2]).toEqual({ request: 202, ms: 3_600_000 })
  })

  it('trusts for ever who was polite a thousand times', async () => {
    const scorer = await made()
    const polite = waits(scorer, 'a', { count: 1_000, gapMs: 1_000 })
    const rude = waits(scorer, 'a', { count: 20_000, gapMs: 0.2, fromMs: 1_000_000 })
    expect(Math.max(...polite, ...rude)).toBe(0)
  })

  it('never forgets a path: one a day makes a page of thirty requests suspicious in the end', async () => {
    const scorer = await made()
    const dayMs = 86_400_000
    for (let day = 0; day < 120; day++) scorer.check('a', `/${day}`, day * dayMs)
    const page = { count: 30, gapMs: 50, fromMs: 120 * dayMs }
    expect(Math.max(...waits(scorer, 'a', page))).toBeGreaterThan(0)
    expect(Math.max(...waits(scorer, 'b', page))).toBe(0)
  })
})

describe('what is known of the others', () => {
  it.each(['S2', 'S3'])('the scorer refuses no attacker in %s', async (name) => {
    const { SCENARIOS, toScenario } = await load('scenarios')
    const all = SCENARIOS[name]
    // It looks at each source alone: a tenth of the bots send as many requests each.
    const bots = byLength(Math.ceil(all.bots / 10), all.bots)
    const scenario = toScenario({ name, ...all, bots })
    expect((await figuresOfScenario(scenario, 'scorer', 1)).attackRefused).toBe(0)
  })

  it.each([
    ['S1', 'scorer', 99.9],
    ['S1b', 'scorer', 98],
    ['S7', 'scorer', 98],
    ['S7b', 'scorer', 0],
    ['S1', 'address', 99.8],
    ['S1b', 'address', 97],
    ['S6', 'address', 17],
    ['S7', 'address', 92],
    ['S8', 'scorer', 0],
  ])('%s, %s refuses a share of %d in a hundred', async (name, contender, share) => {
    const { attackRefused, carrierRefused } = await figuresOf(name, contender)
    expect(Math.abs(attackRefused - share)).toBeLessThan(1.5)
    expect(carrierRefused).toBeGreaterThan(93)
  })
})
