import type { ShieldOutcome } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { enforcing, MINUTE, run, SECOND, users } from './traffic.ts'

const IP = '203.0.113.7'

/** Whether a source is blocked that has 200 requests end so, each on another path. */
function isBlockedBy(outcome: ShieldOutcome, sensitive: boolean): boolean {
  const { guard, clock } = enforcing()
  for (let n = 0; n < 200; n++) {
    const request = { ip: IP, path: `/${n}`, sensitive }
    guard.decide(request)
    guard.settle(request, outcome)
    clock.advance(100)
  }
  return guard.isBlocked(IP) > 0
}

describe('an outcome', () => {
  it.each([400, 401, 403, 404, 405, 410, 422, 499])(
    'of %s is the fault of the client',
    (status) => {
      expect(isBlockedBy(status, false)).toBe(true)
      expect(isBlockedBy(status, true)).toBe(true)
    },
  )

  it.each<ShieldOutcome>([
    200,
    204,
    302,
    304,
    408,
    425,
    429,
    500,
    502,
    503,
    504,
    'dropped',
    0,
    999,
  ])('of %s is not', (outcome) => {
    expect(isBlockedBy(outcome, false)).toBe(false)
    expect(isBlockedBy(outcome, true)).toBe(false)
  })

  it('on one path, however often, is no scan', () => {
    const { guard, clock } = enforcing()
    for (let n = 0; n < 400; n++) {
      const request = { ip: IP, path: '/missing' }
      guard.decide(request)
      guard.settle(request, 404)
      clock.advance(100)
    }
    // One broken link, followed again and again, is no scan.
    expect(guard.isBlocked(IP)).toBe(0)
  })

  it('without a path counts as one path', () => {
    const { guard, clock } = enforcing()
    for (let n = 0; n < 400; n++) {
      guard.decide({ ip: IP })
      guard.settle({ ip: IP }, 404)
      clock.advance(100)
    }
    expect(guard.isBlocked(IP)).toBe(0)
  })
})

describe('an alarm', () => {
  /** Logins of many people, of whom this share fails. */
  function logins(share: number) {
    const sent = enforcing()
    const people = users(200)
    for (let n = 0; n < 2_000; n++) {
      const request = { ip: people[n % 200] as string, path: '/login', sensitive: true }
      sent.guard.decide(request)
      sent.guard.settle(request, n % 100 < share * 100 ? 401 : 200)
      sent.clock.advance(100)
    }
    return sent
  }

  it('begins while most logins fail, and not while most succeed', () => {
    expect(logins(0.95).guard.state().alarm).toBe(true)
    expect(logins(0.3).guard.state().alarm).toBe(false)
  })

  it('ends by itself', () => {
    const { guard, clock } = logins(0.95)
    clock.advance(MINUTE)
    expect(guard.state().alarm).toBe(false)
  })
})

describe('a refusal for the sake of the service', () => {
  it('is a 503, and one for what the source did a 429', () => {
    const sent = enforcing({ maxRate: '200/second' })
    const fresh = (n: number) => `172.${16 + ((n >> 8) & 15)}.${n & 255}.1`
    const [crowd, flood] = run(sent, 10, [
      { ip: fresh, perSecond: 390 },
      { ip: IP, perSecond: 400 },
    ])
    const drawn = crowd?.decisions.filter(({ reasons }) => reasons.includes('lot')) ?? []
    expect(drawn.length).toBeGreaterThan(100)
    expect(drawn.every(({ status }) => status === 503)).toBe(true)
    const told = flood?.decisions.filter(({ reasons }) => reasons.includes('ceiling')) ?? []
    expect(told.length).toBeGreaterThan(10)
    expect(told.every(({ status }) => status === 429)).toBe(true)
  })
})

it('in watch mode no one is blocked for coming back, who was never told to wait', () => {
  const { guard, clock } = enforcing({ mode: 'watch' })
  for (let n = 0; n < 60 * 200; n++) {
    expect(guard.decide({ ip: IP }).level).toBeLessThan(4)
    clock.advance(SECOND / 200)
  }
  expect(guard.state()).toMatchObject({ refused: 0, blocked: 0 })
})
