import { type ShieldOptions, shield } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { enforcing, HOUR, MINUTE, run, SECOND, users } from './traffic.ts'

/*
 * The cases by which RateThrottle tests its detector (P1 to P6) and its adaptive limits (M1 to M4), as far as a
 * shield has the like: a threshold is a ceiling, an allow list needs no un-blocking, trust is to be a regular.
 */

const IP = '192.168.1.100'

/** So many requests of the same source at once. */
function burst({ guard }: ReturnType<typeof enforcing>, count: number, ip = IP) {
  return Array.from({ length: count }, () => guard.decide({ ip }))
}

describe('P', () => {
  it('P1: a negative threshold is refused; off is never suspicious; nor is one normal request', () => {
    expect(() => shield({ ceiling: '-1/second' as ShieldOptions['ceiling'] })).toThrow('-1/second')
    const off = shield({ mode: 'off' })
    for (let n = 0; n < 1_000; n++) expect(off.decide({ ip: IP }).level).toBe(0)
    expect(enforcing().guard.decide({ ip: IP }).level).toBe(0)
  })

  it('P2: five times the threshold at once is suspicious, and who goes on is blocked', () => {
    const sent = enforcing({ ceiling: '10/second' })
    const levels = burst(sent, 50).map(({ level }) => level)
    expect(levels[0]).toBe(0)
    expect(levels.at(-1)).toBe(3)
    run(sent, 20, [{ ip: IP, perSecond: 50 }])
    expect(sent.guard.decide({ ip: IP })).toMatchObject({ level: 4, reasons: ['insistent'] })
  })

  it('P3: more than five failing paths, where five are the most, are a scan', () => {
    const { guard } = enforcing({ failures: { distinctPaths: 5, min: 5 } })
    for (let n = 0; n < 11; n++) {
      const request = { ip: IP, path: `/endpoint/${n}` }
      guard.decide(request)
      guard.settle(request, 404)
    }
    expect(guard.decide({ ip: IP })).toMatchObject({ level: 4, reasons: ['scan'] })
  })

  it('P4: who is on the allow list is not suspicious, whatever the threshold', () => {
    const sent = enforcing({ ceiling: '1/second', allow: IP })
    expect(burst(sent, 100).every(({ level }) => level === 0)).toBe(true)
  })

  it('P5: a block ends when it is pardoned, or by itself', () => {
    const { guard, clock } = enforcing()
    guard.block(IP, HOUR)
    expect(guard.decide({ ip: IP }).level).toBe(4)
    expect(guard.pardon(IP)).toBe(true)
    expect(guard.decide({ ip: IP }).level).toBe(0)
    guard.block(IP, SECOND)
    clock.advance(1_100)
    expect(guard.isBlocked(IP)).toBe(0)
    expect(guard.pardon(IP)).toBe(false)
  })

  it('P6: what has been done is counted', () => {
    const sent = enforcing({ ceiling: '10/second' })
    const answers = burst(sent, 60)
    const refused = answers.filter(({ allowed }) => !allowed).length
    expect(sent.guard.state()).toMatchObject({ admitted: 60 - refused, refused, blocked: 0 })
    expect(enforcing().guard.state()).toMatchObject({ admitted: 0, refused: 0 })
  })
})

describe('M', () => {
  it('M1: a first request is let in, above the ceiling none, and users are independent', () => {
    const sent = enforcing({ ceiling: '100/second' })
    const answers = burst(sent, 400)
    expect(answers.slice(0, 100).every(({ allowed }) => allowed)).toBe(true)
    expect(answers.slice(300).some(({ allowed }) => allowed)).toBe(false)
    expect(burst(sent, 50, '192.168.1.101').every(({ allowed }) => allowed)).toBe(true)
  })

  it('M2: standing comes with time and requests, and goes with a block', () => {
    const sent = enforcing()
    const isRegular = () => sent.guard.top(1)[0]?.isRegular
    burst(sent, 20)
    expect(isRegular()).toBe(false)
    run(sent, 50, [{ ip: IP, perSecond: 1 }])
    expect(isRegular()).toBe(true)
    const slow = enforcing()
    run(slow, 600, [{ ip: IP, perSecond: 1 / 120 }])
    expect(slow.guard.top(1)[0]?.isRegular).toBe(false)
  })

  it('M3: under pressure regulars pass, and who was blocked does not count as one', () => {
    const sent = enforcing({ maxRate: '200/second', insistence: { block: '10 seconds' } })
    const regulars = users(100).map((ip) => ({ ip, perSecond: 1 }))
    const offender = users(101)[100] as string
    run(sent, 120, [...regulars, { ip: offender, perSecond: 1 }])
    run(sent, 20, [...regulars, { ip: offender, perSecond: 400 }])
    run(sent, 60, regulars)
    expect(sent.guard.isBlocked(offender)).toBe(0)
    const bots = users(1_200)
      .slice(200)
      .map((ip) => ({ ip, perSecond: 1 }))
    const all = run(sent, 60, [...regulars, { ip: offender, perSecond: 1 }, ...bots])
    expect(all.slice(0, 100).every(({ refused }) => refused === 0)).toBe(true)
    expect(all[100]?.refused).toBeGreaterThan(0)
  })

  it('M4: a pardon forgets, and a source that is away for long is new', () => {
    const sent = enforcing()
    run(sent, 60, [{ ip: IP, perSecond: 400 }])
    expect(sent.guard.isBlocked(IP)).toBeGreaterThan(MINUTE)
    sent.guard.pardon(IP)
    expect(sent.guard.decide({ ip: IP }).level).toBe(0)
    run(sent, 60, [{ ip: IP, perSecond: 400 }])
    // Its first block again, not its second.
    expect(sent.guard.isBlocked(IP)).toBeLessThanOrEqual(2 * MINUTE)
  })
})
