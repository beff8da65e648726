import { FakeClock } from 'ratethrottle'
import { shield } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../fixtures/random.ts'
import { serve } from '../http/serve.ts'
import { DAY, enforcing, HOUR, MINUTE, run, SECOND, START, sum, users } from './traffic.ts'

/*
 * Defects of RateThrottle's detector of attacks (D46 to D53) and of its adaptive limits (D80 to D84): the same
 * traffic, and what a shield makes of it. There are no adaptive limits here; where a defect is about one, the test
 * shows what stands in its place: regulars, newcomers, and a ceiling that grows with a habit.
 */

const IP = '192.0.2.1'

/** The share of requests that are refused to a source of such a rate. */
function refusedAt(perSecond: number): number {
  const [sent] = run(enforcing(), 120, [{ ip: IP, perSecond }])
  return (sent?.refused ?? 0) / (sent?.asked ?? 1)
}

/** Whether a source with so many distinct failing paths is blocked. */
function isBlockedAfter(paths: number, gapMs = 500): boolean {
  const { guard, clock } = enforcing()
  for (let n = 0; n < paths; n++) {
    const request = { ip: IP, path: `/${n}` }
    guard.decide(request)
    guard.settle(request, 404)
    clock.advance(gapMs)
  }
  return guard.isBlocked(IP) > 0
}

describe('the detector', () => {
  it('D46: what is told as too fast can be reached by default, and rates are measured as they are', () => {
    const sent = enforcing()
    const [flood] = run(sent, 180, [{ ip: IP, perSecond: 1_000 }])
    expect((flood?.refused ?? 0) / (flood?.asked ?? 1)).toBeGreaterThan(0.99)
    expect(sent.guard.top(1)[0]?.requestsPerMinute).toBeGreaterThan(55_000)
    expect(sent.guard.top(1)[0]?.requestsPerMinute).toBeLessThan(62_000)
  })

  it('D47: the limit is the one that was set, not an eighth of it', () => {
    for (const perSecond of [15, 20, 30, 45]) expect(refusedAt(perSecond)).toBe(0)
    expect(refusedAt(60)).toBeGreaterThan(0.5)
  })

  it('D48: 1,000 polite requests buy nothing', () => {
    const sent = enforcing()
    run(sent, 1_000, [{ ip: IP, perSecond: 1 }])
    const [flood] = run(sent, 60, [{ ip: IP, perSecond: 5_000 }])
    expect(flood?.refusedAt).toBeLessThan(1)
    expect((flood?.refused ?? 0) / (flood?.asked ?? 1)).toBeGreaterThan(0.99)
  })

  it('D49: more is never less suspicious, in requests or in paths', () => {
    const shares = [40, 60, 80, 100, 150, 200, 400, 800, 1_600].map(refusedAt)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    expect(shares[0]).toBe(0)
    expect(shares.at(-1)).toBeGreaterThan(0.98)
    for (const paths of [1, 5, 12]) expect(isBlockedAfter(paths)).toBe(false)
    for (const paths of [60, 100, 300]) expect(isBlockedAfter(paths)).toBe(true)
  })

  it('D50: paths are forgotten with time, and take no memory', () => {
    expect(isBlockedAfter(120, DAY)).toBe(false)
    expect(isBlockedAfter(120)).toBe(true)
    const { guard, clock } = enforcing()
    const before = process.memoryUsage().external
    for (let n = 0; n < 20_000; n++) {
      const request = { ip: IP, path: `/${n}` }
      guard.decide(request)
      guard.settle(request, 200)
      clock.advance(100)
    }
    expect(process.memoryUsage().external - before).toBeLessThan(100_000)
    expect(guard.decide({ ip: IP }).level).toBe(0)
  })

  it('D51: an attack leaves nothing behind that grows with it', () => {
    const sent = enforcing({ sources: 1_024 })
    const before = process.memoryUsage().external
    const attack = (n: number) => `198.${18 + ((n >> 16) & 1)}.${(n >> 8) & 255}.${n & 255}`
    run(sent, 100, [{ ip: attack, perSecond: 1_000, status: 404, path: (n) => `/${n}` }])
    expect(process.memoryUsage().external - before).toBeLessThan(100_000)
    // At most the table, of which each set is rounded up.
    expect(sent.guard.top(1_000).length).toBeLessThanOrEqual(1_000)
    expect(sent.guard.state().evictions).toBeGreaterThan(50_000)
  })

  it('D52: a long block after a short one is long, and who is on the allow list is let in', () => {
    const { guard, clock } = enforcing({ allow: ['203.0.113.0/24'] })
    guard.block(IP, SECOND)
    guard.block(IP, HOUR)
    clock.advance(HOUR - 1)
    expect(guard.isBlocked(IP)).toBe(1)
    guard.block('203.0.113.9', HOUR)
    expect(guard.decide({ ip: '203.0.113.9' })).toMatchObject({ allowed: true, level: 0 })
  })

  it('D53: one clock, no suspicion of even intervals, and wired to the adapters', async () => {
    const [even] = run(enforcing(), 3_600, [{ ip: IP, perSecond: 10 }])
    expect(even?.refused).toBe(0)
    const clock = new FakeClock(START)
    const guard = shield({ mode: 'enforce', clock })
    const site = await serve('Fastify 5', { shield: guard, limits: '1000/second' })
    expect((await site.ask()).status).toBe(200)
    guard.block('127.0.0.1', MINUTE)
    expect((await site.ask()).status).toBe(429)
    clock.advance(MINUTE)
    expect((await site.ask()).status).toBe(200)
  })
})

describe('in place of adaptive limits', () => {
  /** A user of ten requests a minute, at random. */
  function human(sent: ReturnType<typeof enforcing>, seed: number): void {
    const random = randomFrom(seed)
    for (let ms = 0; ms < 20 * MINUTE; ) {
      const gap = Math.ceil(-6_000 * Math.log(1 - random.next()))
      sent.clock.advance(gap)
      expect(sent.guard.decide({ ip: IP }).level).toBe(0)
      ms += gap
    }
  }

  it('D80: a user who floods is noticed, and one who is three seconds early is not', () => {
    for (const seed of [1, 2, 3]) {
      const sent = enforcing()
      human(sent, seed)
      const [flood] = run(sent, 60, [{ ip: IP, perSecond: 60 }])
      expect(flood?.refusedAt).toBeLessThan(20)
    }
    const { guard, clock } = enforcing()
    for (let n = 0; n < 500; n++) {
      expect(guard.decide({ ip: IP }).level).toBe(0)
      clock.advance(n % 50 === 49 ? 7 * SECOND : 10 * SECOND)
    }
  })

  it('D80: under pressure a user at many times its habit is refused, and no other', () => {
    const sent = enforcing({ maxRate: '100/second' })
    const others = users(120).map((ip) => ({ ip, perSecond: 0.6 }))
    run(sent, 300, [...others, { ip: IP, perSecond: 10 / 60 }])
    const all = run(sent, 120, [...others, { ip: IP, perSecond: 49 }])
    expect(sum(all.slice(0, -1)).refused).toBe(0)
    expect((all.at(-1)?.refused ?? 0) / (all.at(-1)?.asked ?? 1)).toBeGreaterThan(0.4)
  })

  it('D81: what is documented is what a newcomer gets: its burst and its rate', () => {
    const newcomers = { rate: '30/minute', burst: 10 } as const
    const sent = enforcing({ maxRate: '100/second', newcomers })
    const ever = (n: number) => `172.${16 + ((n >> 16) & 15)}.${(n >> 8) & 255}.${n & 255}`
    const pressure = { ip: (n: number) => ever(n * 256), perSecond: 300 }
    run(sent, 5, [pressure])
    const people = users(20).map((ip) => ({ ip, perSecond: 2, isPatient: true }))
    const all = run(sent, 60, [pressure, ...people]).slice(1)
    expect(sent.guard.state().pressure).toBe(true)
    const admitted = all.map(({ asked, refused }) => asked - refused)
    expect(Math.max(...admitted)).toBeGreaterThan(10)
    expect(Math.max(...admitted)).toBeLessThanOrEqual(10 + 30 + 2)
  })

  it('D82: sources take no memory of their own, offences are forgotten, rates have no top', () => {
    const sent = enforcing({ sources: 4_096 })
    const before = process.memoryUsage().external
    for (let n = 0; n < 200_000; n++)
      sent.guard.decide({ ip: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` })
    expect(process.memoryUsage().external - before).toBeLessThan(100_000)
    run(sent, 60, [{ ip: IP, perSecond: 2_000 }])
    expect(sent.guard.top(1)[0]?.requestsPerMinute).toBeGreaterThan(60_000)
    expect(sent.guard.isBlocked(IP)).toBeGreaterThan(0)
    sent.clock.advance(sent.guard.isBlocked(IP) + 10 * MINUTE + SECOND)
    expect(sent.guard.decide({ ip: IP }).level).toBe(0)
  })

  it('D83: a callback may ask the guard, and what it throws does not escape', async () => {
    const clock = new FakeClock(START)
    const seen: number[] = []
    const guard = shield({
      mode: 'enforce',
      clock,
      onSuspect: ({ source }) => {
        seen.push(guard.isBlocked(source), guard.top(1).length, guard.state().blocked)
        guard.settle({ ip: source, path: '/' }, 404)
        throw new Error('on purpose')
      },
    })
    guard.block('127.0.0.1', MINUTE)
    const site = await serve('node:http', { shield: guard, limits: '1000/second' })
    expect((await site.ask()).status).toBe(429)
    expect(seen).toEqual([MINUTE, 1, 1])
  })

  it('D84: unknown sources are no error, guards share nothing, and a refusal earns nothing', () => {
    const { guard } = enforcing()
    expect(guard.pardon('198.51.100.1')).toBe(false)
    expect(guard.isBlocked('198.51.100.1')).toBe(0)
    guard.settle({ ip: '198.51.100.1', path: '/' }, 404)
    const other = enforcing()
    run(other, 60, [{ ip: IP, perSecond: 500 }])
    expect(other.guard.isBlocked(IP)).toBeGreaterThan(0)
    expect(guard.isBlocked(IP)).toBe(0)
    expect(guard.decide({ ip: IP }).level).toBe(0)
    // The longer it goes on, the less of it is let in.
    const sent = enforcing()
    const letIn = Array.from({ length: 6 }, () => {
      const [flood] = run(sent, 10, [{ ip: IP, perSecond: 100 }])
      return (flood?.asked ?? 0) - (flood?.refused ?? 0)
    })
    expect(letIn).toEqual([...letIn].sort((a, b) => b - a))
    expect(letIn.at(-1)).toBe(0)
  })
})
