import { FakeClock, parseLimits, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { admitted, checks, open } from '../fixtures/open.ts'

// The boundary cases of RateThrottle for Python, by their numbers in our notes on it.

describe('limit strings', () => {
  it('accept the spellings of second, minute, hour and day', () => {
    const windows = (texts: string[]) => texts.map((text) => parseLimits(text)[0]?.windowMs)
    expect(windows(['5/second', '10/seconds', '100/sec', '50/s'])).toEqual(Array(4).fill(1_000))
    expect(windows(['1/minute', '1/minutes', '1/min', '1/m'])).toEqual(Array(4).fill(60_000))
    expect(windows(['1/hour', '1/hours', '1/hr', '1/h'])).toEqual(Array(4).fill(3_600_000))
    expect(windows(['1/day', '1/days', '1/d'])).toEqual(Array(3).fill(86_400_000))
  })

  it('accept spaces around both parts', () => {
    expect(parseLimits('  100  /  minute  ')).toEqual([{ count: 100, windowMs: 60_000 }])
  })

  it('are refused with the cause: no slash, no number, unknown period, negative, zero', () => {
    for (const text of ['100', 'abc/minute', '10/fortnight', '-5/minute', '0/minute']) {
      expect(() => new RateLimiter(text as string)).toThrow(/at position \d+: expected/)
    }
  })
})

describe('RateLimiter', () => {
  it('needs only limits: token bucket, burst = count, no block', () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter('10/minute', { clock })
    expect(limiter.algorithm).toBe('token-bucket')
    expect(admitted(checks(limiter, 'k', 11))).toBe(10)
    expect(limiter.peek('k').retryAfterMs).toBe(6_000)
  })

  it('accepts a burst above or below the count, and refuses one out of range', () => {
    expect(
      admitted(checks(open('token-bucket', '100/minute', { burst: 150 }).limiter, 'k', 200)),
    ).toBe(150)
    expect(
      admitted(checks(open('token-bucket', '100/minute', { burst: 99 }).limiter, 'k', 200)),
    ).toBe(99)
    const refused: object[] = [
      { burst: 0 },
      { burst: 1_000_000_001 },
      { blockFor: -1 },
      { algorithm: 'magic' },
      { name: '' },
      { capacity: 0 },
    ]
    for (const options of refused) {
      expect(() => new RateLimiter('100/minute', options)).toThrow(Object.keys(options)[0])
    }
    expect(() => new RateLimiter({ count: 0, windowMs: 1 })).toThrow('count')
    expect(() => new RateLimiter({ count: 1, windowMs: 0 })).toThrow('windowMs')
  })

  it('fixed window of 10 a minute: remaining runs 9..0, the 11th is denied with 0', () => {
    const decisions = checks(open('fixed-window').limiter, 'k', 11)
    expect(decisions.map((d) => d.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
    expect(decisions.at(-1)?.allowed).toBe(false)
  })

  it.each(ALGORITHMS)('with %s, an exhausted key does not affect another key', (algorithm) => {
    const { limiter } = open(algorithm)
    checks(limiter, 'A', 11)
    expect(limiter.check('B')).toMatchObject({ allowed: true, remaining: 9 })
  })

  it('does not charge keys that are not checked', () => {
    const { limiter } = open('fixed-window')
    for (let i = 0; i < 100; i++) limiter.peek('listed')
    expect(limiter.check('listed').remaining).toBe(9)
  })

  it('denies a blocked key at once, and admits it after reset', () => {
    const { limiter } = open('fixed-window')
    limiter.block('k', 60_000)
    expect(limiter.check('k')).toMatchObject({ allowed: false, remaining: 0, retryAfterMs: 60_000 })
    limiter.reset('k')
    expect(limiter.allow('k')).toBe(true)
  })

  it('consume throws RateLimitExceeded with the decision for every denial', () => {
    const { limiter } = open('fixed-window', '1/minute')
    limiter.consume('k')
    for (let i = 0; i < 3; i++) {
      expect(() => limiter.consume('k')).toThrow(RateLimitExceeded)
    }
    try {
      limiter.consume('k')
    } catch (error) {
      expect(error).toMatchObject({ statusCode: 429, retryAfter: 60, decision: { limit: 1 } })
    }
  })

  it('reports no evictions and no overflows in normal use', () => {
    const { limiter } = open('fixed-window')
    checks(limiter, 'k', 5)
    expect(limiter.stats()).toMatchObject({ evictions: 0, overflows: 0 })
    limiter.reset('k')
    expect(limiter.peek('k')).toMatchObject({ remaining: 10, resetMs: 0 })
  })

  it.each(ALGORITHMS)(
    'with %s, 1 per 2 s and a block of 2 s: admits again once block and window are over',
    (algorithm) => {
      const { clock, limiter } = open(algorithm, '1/2 seconds', { blockFor: '2 seconds' })
      expect(limiter.allow('k')).toBe(true)
      expect(limiter.allow('k')).toBe(false)
      clock.advance(2_100)
      if (algorithm !== 'sliding-window') {
        expect(limiter.allow('k')).toBe(true)
        return
      }
      // Two buckets: the unit of the first one counts, by its share in sight, until the second has passed.
      expect(limiter.peek('k')).toMatchObject({ allowed: false, retryAfterMs: 1_900 })
      clock.advance(1_899)
      expect(limiter.peek('k').allowed).toBe(false)
      clock.advance(1)
      expect(limiter.allow('k')).toBe(true)
    },
  )

  it('throws CLOSED after close', () => {
    const { limiter } = open('fixed-window')
    limiter.close()
    for (const use of [() => limiter.allow('k'), () => limiter.check('k'), () => limiter.stats()]) {
      expect(use).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    }
    expect(() => limiter.close()).not.toThrow()
  })
})

describe('token bucket of 10 a minute, burst 15', () => {
  const bucket = () => open('token-bucket', '10/minute', { burst: 15 })

  it('remaining falls with each request, and limit is 10', () => {
    const decisions = checks(bucket().limiter, 'k', 15)
    expect(decisions.map((d) => d.remaining)).toEqual([
      14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,
    ])
    expect(decisions[0]).toMatchObject({ allowed: true, limit: 10 })
  })

  it('the 16th call at one time is denied, and other keys are not affected', () => {
    const { limiter } = bucket()
    expect(checks(limiter, 'k', 16).at(-1)).toMatchObject({
      allowed: false,
      remaining: 0,
      retryAfterMs: 6_000,
    })
    expect(limiter.check('other').remaining).toBe(14)
  })

  it('tokens refill in proportion to the time', () => {
    const { clock, limiter } = bucket()
    checks(limiter, 'k', 15)
    clock.advance(30_000)
    expect(limiter.peek('k').remaining).toBe(5)
    clock.advance(600_000)
    expect(limiter.peek('k').remaining).toBe(15)
  })
})
