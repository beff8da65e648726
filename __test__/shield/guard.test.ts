import { FakeClock } from 'ratethrottle'
import { type ShieldOptions, shield } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../fixtures/random.ts'
import { enforcing, HOUR, MINUTE, run, SECOND, START } from './traffic.ts'

const IP = '203.0.113.7'

/** Sends until the source is blocked, as one does who never waits. */
function insist({ guard, clock }: ReturnType<typeof enforcing>, ip: string): void {
  for (let i = 0; guard.isBlocked(ip) === 0; i++) {
    if (i > 100_000) throw new Error('was never blocked')
    guard.decide({ ip })
    clock.advance(5)
  }
}

describe('decide', () => {
  it('answers most requests with the same frozen constant', () => {
    const { guard } = enforcing()
    const answer = guard.decide({ ip: IP })
    expect(answer).toEqual({ allowed: true, level: 0, reasons: [], retryAfterMs: 0 })
    expect(Object.isFrozen(answer) && Object.isFrozen(answer.reasons)).toBe(true)
    expect(guard.decide({ ip: '::1', path: '/x', sensitive: true })).toBe(answer)
  })

  it('refuses with a status, a reason and a time to wait', () => {
    const sent = enforcing()
    const [flood] = run(sent, 20, [{ ip: IP, perSecond: 500 }])
    for (const decision of flood?.decisions ?? []) {
      const { allowed, level, reasons, retryAfterMs, status } = decision
      expect(allowed).toBe(status === undefined)
      expect(allowed).toBe(level < 2)
      if (allowed) continue
      expect(status).toBe(429)
      expect(reasons.length).toBeGreaterThan(0)
      expect(Number.isInteger(retryAfterMs) && retryAfterMs > 0).toBe(true)
      expect(Object.isFrozen(reasons)).toBe(true)
    }
    expect(flood?.blocked).toBeGreaterThan(0)
  })

  it('counts the request: those admitted and refused add up', () => {
    const sent = enforcing()
    const all = run(sent, 60, [
      { ip: IP, perSecond: 200 },
      { ip: '198.51.100.1', perSecond: 2 },
    ])
    const asked = all.reduce((total, one) => total + one.asked, 0)
    const refused = all.reduce((total, one) => total + one.refused, 0)
    expect(sent.guard.state()).toMatchObject({ admitted: asked - refused, refused, wouldRefuse: 0 })
  })
})

describe('block, isBlocked and pardon', () => {
  it('block for exactly as long as said', () => {
    const { guard, clock } = enforcing()
    expect(guard.block(IP, 1_500)).toBe(true)
    expect(guard.isBlocked(IP)).toBe(1_500)
    clock.advance(500)
    const answer = guard.decide({ ip: IP })
    expect(answer).toMatchObject({ allowed: false, level: 4, retryAfterMs: 1_000, status: 429 })
    clock.advance(999)
    expect(guard.isBlocked(IP)).toBe(1)
    expect(guard.decide({ ip: IP }).allowed).toBe(false)
    clock.advance(1)
    expect(guard.isBlocked(IP)).toBe(0)
    expect(guard.decide({ ip: IP }).level).toBe(0)
  })

  it('count nothing by asking', () => {
    const { guard } = enforcing()
    for (let i = 0; i < 10_000; i++) guard.isBlocked(IP)
    expect(guard.top()).toEqual([])
    expect(guard.state().admitted).toBe(0)
  })

  it('hold for the /64 of an IPv6 address, and for a mapped address', () => {
    const { guard } = enforcing()
    guard.block('2001:db8:1:2::1', MINUTE)
    guard.block(IP, MINUTE)
    expect(guard.isBlocked('2001:db8:1:2:ffff::9')).toBe(MINUTE)
    expect(guard.isBlocked('2001:db8:1:3::1')).toBe(0)
    expect(guard.isBlocked(`::ffff:${IP}`)).toBe(MINUTE)
    expect(guard.pardon('2001:DB8:1:2::77')).toBe(true)
    expect(guard.isBlocked('2001:db8:1:2::1')).toBe(0)
  })

  it('forget by a pardon what led to the block', () => {
    const sent = enforcing()
    insist(sent, IP)
    expect(sent.guard.pardon(IP)).toBe(true)
    expect(sent.guard.pardon(IP)).toBe(false)
    expect(sent.guard.decide({ ip: IP }).level).toBe(0)
    for (let i = 0; i < 60; i++) {
      sent.clock.advance(SECOND)
      expect(sent.guard.decide({ ip: IP }).level).toBe(0)
    }
  })

  it('know a source that was never seen as one that is not blocked', () => {
    const { guard } = enforcing()
    expect(guard.pardon('192.0.2.1')).toBe(false)
    expect(guard.isBlocked('192.0.2.1')).toBe(0)
  })

  it('are counted and listed', () => {
    const { guard, clock } = enforcing()
    for (let i = 1; i <= 9; i++) guard.block(`192.0.2.${i}`, i * MINUTE)
    expect(guard.state().blocked).toBe(9)
    clock.advance(4 * MINUTE)
    expect(guard.state().blocked).toBe(5)
    guard.decide({ ip: '192.0.2.9' })
    expect(guard.top(1)).toMatchObject([
      { source: '192.0.2.9', level: 4, blockedMs: 5 * MINUTE, isRegular: false },
    ])
  })

  it('refuse wrong arguments', () => {
    const { guard } = enforcing()
    for (const ip of [5, null, undefined, {}]) {
      expect(() => guard.block(ip as string, 1)).toThrow('ip must be a string')
      expect(() => guard.pardon(ip as string)).toThrow('ip must be a string')
      expect(() => guard.decide({ ip: ip as string })).toThrow(TypeError)
      expect(() => guard.isBlocked(ip as string)).toThrow(TypeError)
      expect(() => guard.settle({ ip: ip as string }, 404)).toThrow(TypeError)
    }
    for (const ms of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', 2 ** 53]) {
      expect(() => guard.block(IP, ms as number)).toThrow('ms must be an integer from 1')
    }
    for (const count of [0, 1.5, 1_001, '5', Number.NaN]) {
      expect(() => guard.top(count as number)).toThrow('count must be an integer from 1 to 1000')
    }
  })
})

describe('top', () => {
  it('names the biggest sources first, with their rates', () => {
    const sent = enforcing()
    run(sent, 300, [
      { ip: '192.0.2.1', perSecond: 1 },
      { ip: '192.0.2.2', perSecond: 8 },
      { ip: '2001:db8::5', perSecond: 3 },
      { ip: 'unix', perSecond: 0.2 },
    ])
    const top = sent.guard.top(3)
    expect(top.map(({ source }) => source)).toEqual(['192.0.2.2', '2001:db8::/64', '192.0.2.1'])
    for (const [i, rate] of [480, 180, 60].entries()) {
      expect(top[i]?.requestsPerMinute).toBeGreaterThan(rate * 0.9)
      expect(top[i]?.requestsPerMinute).toBeLessThan(rate * 1.1)
      expect(top[i]?.isRegular).toBe(true)
    }
  })
})

describe('watch', () => {
  it('refuses nothing, whatever comes, and says what it would have done', () => {
    const clock = new FakeClock(START)
    const guard = shield({ clock, maxRate: '100/second' })
    const random = randomFrom(7)
    const levels = new Set<number>()
    let refusals = 0
    for (let i = 0; i < 100_000; i++) {
      const n = random.integer(1, 400)
      const ip = random.chance(0.3) ? IP : `198.51.${n}.${n & 127}`
      const request = { ip, path: `/${random.integer(0, 99)}`, sensitive: random.chance(0.1) }
      const decision = guard.decide(request)
      if (!decision.allowed || decision.status !== undefined) refusals++
      levels.add(decision.level)
      guard.settle(request, random.pick([200, 404, 401, 500]))
      clock.advance(random.integer(0, 4))
    }
    expect(refusals).toBe(0)
    expect([...levels].some((level) => level >= 3)).toBe(true)
    expect(guard.state()).toMatchObject({ admitted: 100_000, refused: 0 })
    expect(guard.state().wouldRefuse).toBeGreaterThan(1_000)
  })

  it('lets in also who was blocked by hand', () => {
    const clock = new FakeClock(START)
    const guard = shield({ clock })
    guard.block(IP, HOUR)
    expect(guard.decide({ ip: IP })).toMatchObject({ allowed: true, level: 4, status: undefined })
  })
})

describe('off', () => {
  it('does nothing at all', () => {
    const guard = shield({ mode: 'off' })
    const answer = guard.decide({ ip: IP })
    for (let i = 0; i < 10_000; i++) expect(guard.decide({ ip: IP })).toBe(answer)
    guard.settle({ ip: IP }, 404)
    expect(guard.block(IP, MINUTE)).toBe(false)
    expect(guard.pardon(IP)).toBe(false)
    expect(guard.isBlocked(IP)).toBe(0)
    expect(guard.top()).toEqual([])
    expect(guard.state()).toMatchObject({ admitted: 0, refused: 0, blocked: 0, newcomerShare: 1 })
  })
})

describe('close', () => {
  it.each(['watch', 'enforce', 'off'] as const)('ends a guard in mode %s', (mode) => {
    const guard = shield({ mode, clock: new FakeClock(START) })
    guard.close()
    guard.close()
    const calls: readonly (() => unknown)[] = [
      () => guard.decide({ ip: IP }),
      () => guard.settle({ ip: IP }, 404),
      () => guard.isBlocked(IP),
      () => guard.state(),
      () => guard.top(),
      () => guard.block(IP, 1),
      () => guard.pardon(IP),
    ]
    for (const call of calls) {
      expect(call).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    }
  })
})

describe('allow', () => {
  it('is never refused, as an address or a range, also while others are', () => {
    const allow = ['203.0.113.0/24', '2001:db8:9::/48', '198.51.100.7']
    const sent = enforcing({ allow })
    const allowed = ['203.0.113.1', '203.0.113.255', '2001:db8:9:1::1', '198.51.100.7']
    const all = run(sent, 30, [
      ...allowed.map((ip) => ({ ip, perSecond: 200, status: 404, sensitive: true })),
      { ip: '198.51.100.8', perSecond: 200, status: 404, sensitive: true },
    ])
    expect(all.map(({ refused }) => refused > 0)).toEqual([false, false, false, false, true])
  })
})

describe('the same calls at the same times', () => {
  /** All answers to random calls. Lots are drawn with a secret, so there is no pressure. */
  function history(options: ShieldOptions): string {
    const { guard, clock } = enforcing({ prefixes: { share: 1 }, ...options })
    const random = randomFrom(99)
    const seen: unknown[] = []
    for (let i = 0; i < 20_000; i++) {
      const request = { ip: `192.0.2.${random.integer(1, 9)}`, path: '/', sensitive: false }
      const decision = guard.decide(request)
      if (decision.level > 0) seen.push([i, decision])
      guard.settle(request, random.pick([200, 404]))
      clock.advance(random.integer(0, 2))
    }
    return JSON.stringify([seen, guard.state(), guard.top(100)])
  }

  it('get the same answers', () => {
    const first = history({})
    expect(first.length).toBeGreaterThan(10_000)
    expect(history({})).toBe(first)
    expect(history({ ceiling: '60/second' })).not.toBe(first)
  })

  it('need no timer: nothing happens between the calls', async () => {
    const { guard } = enforcing({ maxRate: '10/second' })
    for (let i = 0; i < 500; i++) guard.decide({ ip: `198.51.100.${i & 127}` })
    const before = JSON.stringify([guard.state(), guard.top()])
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(JSON.stringify([guard.state(), guard.top()])).toBe(before)
  })
})

it('shows its mode and nothing else', () => {
  const { guard } = enforcing()
  expect(guard.constructor.name).toBe('Guard')
  expect(Object.keys(guard)).toEqual(['mode'])
})
