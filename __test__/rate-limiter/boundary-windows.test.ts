import type { Algorithm } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { admitted, checks, open } from '../fixtures/open.ts'

// The boundary cases of RateThrottle for Python that are about one algorithm each, by their numbers.

const WINDOWED: readonly Algorithm[] = ['sliding-window', 'sliding-log', 'fixed-window']

describe('sliding log, leaky bucket and fixed window', () => {
  it.each(['sliding-log', 'leaky-bucket', 'fixed-window'] as const)(
    'with %s, remaining runs 9..0; the 11th is denied with a wait',
    (algorithm) => {
      const decisions = checks(open(algorithm).limiter, 'k', 11)
      expect(decisions.map((d) => d.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
      expect(decisions.at(-1)?.retryAfterMs).toBe(algorithm === 'leaky-bucket' ? 6_000 : 60_000)
    },
  )

  it('log of 3 per 2 s: 3 admitted, denied at once and a second later, admitted 2.1 s later', () => {
    const { clock, limiter } = open('sliding-log', '3/2s')
    expect(admitted(checks(limiter, 'k', 4))).toBe(3)
    clock.advance(1_000)
    expect(limiter.allow('k')).toBe(false)
    clock.advance(1_100)
    expect(limiter.allow('k')).toBe(true)
  })

  it('log of 5 per 2 s: 4 at once, one more at 1.5 s, no sixth before the first four have expired', () => {
    const { clock, limiter } = open('sliding-log', '5/2s')
    checks(limiter, 'k', 4)
    clock.advance(1_500)
    expect(admitted(checks(limiter, 'k', 2))).toBe(1)
    clock.advance(500)
    expect(limiter.peek('k').remaining).toBe(4)
  })

  it('log of 10 a minute: 5 requests do not count 61 s later', () => {
    const { clock, limiter } = open('sliding-log')
    checks(limiter, 'k', 5)
    clock.advance(61_000)
    expect(limiter.check('k').remaining).toBe(9)
  })

  it('fixed window of 5 a second: the sixth is denied, the next window admits', () => {
    const { clock, limiter } = open('fixed-window', '5/s')
    expect(admitted(checks(limiter, 'k', 6))).toBe(5)
    clock.advance(1_000)
    expect(limiter.check('k').remaining).toBe(4)
  })
})

describe('sliding window of 10 a minute', () => {
  it('10 in one window: remaining runs 9..0; the 11th is denied', () => {
    const decisions = checks(open('sliding-window').limiter, 'k', 11)
    expect(decisions.map((d) => d.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
    expect(decisions.at(-1)?.retryAfterMs).toBeGreaterThan(0)
  })

  it('8 at t=0: half way through the next window 4 and 1 more are admitted', () => {
    const { clock, limiter } = open('sliding-window')
    checks(limiter, 'k', 8)
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 5))).toBe(5)
  })

  it('10 at t=59: at t=61 fewer than 5 of 10 are admitted', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_000)
    expect(admitted(checks(limiter, 'k', 10))).toBe(10)
    clock.set(61_000)
    expect(admitted(checks(limiter, 'k', 10))).toBeLessThan(5)
  })

  it('10 at t=59.99: one at exactly t=60.0 is denied', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_990)
    checks(limiter, 'k', 10)
    clock.set(60_000)
    expect(limiter.allow('k')).toBe(false)
  })

  it('5 at t=30 and 7 at t=90: one at t=150 is admitted with at least 5 remaining', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(30_000)
    checks(limiter, 'k', 5)
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 7))).toBe(7)
    clock.set(150_000)
    expect(limiter.check('k')).toMatchObject({ allowed: true, remaining: 5 })
  })

  it('with no earlier requests 6 at t=90 are all admitted', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 6))).toBe(6)
  })

  it('one at 59.999 and one at 60.001 are both admitted', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_999)
    expect(limiter.allow('k')).toBe(true)
    clock.set(60_001)
    expect(limiter.allow('k')).toBe(true)
  })

  it('limit 1000: 900 at t=30, then exactly 550 more at t=90', () => {
    const { clock, limiter } = open('sliding-window', '1000/minute')
    clock.set(30_000)
    checks(limiter, 'k', 900)
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 600))).toBe(550)
  })

  it('fractions of a millisecond and of a second are accepted', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_700)
    expect(limiter.allow('k')).toBe(true)
    clock.set(60_300.25)
    expect(limiter.allow('k')).toBe(true)
  })

  it.each(WINDOWED)('with %s, 1,000 clients x 5 requests are all admitted', (algorithm) => {
    const { limiter } = open(algorithm)
    for (let client = 0; client < 1_000; client++) {
      expect(admitted(checks(limiter, `client:${client}`, 5))).toBe(5)
    }
  })
})
