import {
  type Algorithm,
  type Decision,
  FakeClock,
  parseLimits,
  RateLimitExceeded,
  RateLimiter,
} from 'ratethrottle'
import { describe, expect, it } from 'vitest'

// The boundary cases of RateThrottle for Python, by their numbers in our notes on it.

const ALGORITHMS: readonly Algorithm[] = [
  'token-bucket',
  'leaky-bucket',
  'sliding-window',
  'sliding-log',
  'fixed-window',
]
const WINDOWED: readonly Algorithm[] = ['sliding-window', 'sliding-log', 'fixed-window']

/** A limiter of 10 a minute, or as told, and the clock it runs on, which starts at zero. */
function open(algorithm: Algorithm, limits = '10/minute', more: object = {}) {
  const clock = new FakeClock()
  return { clock, limiter: new RateLimiter(limits, { algorithm, clock, ...more }) }
}

/** As many checks of one key, one by one. */
function checks(limiter: RateLimiter<string>, key: string, count: number): Decision[] {
  return Array.from({ length: count }, () => limiter.check(key))
}

const admitted = (decisions: readonly Decision[]): number =>
  decisions.filter((d) => d.allowed).length

describe('grammar', () => {
  it('G1: the spellings of second, minute, hour and day', () => {
    const windows = (texts: string[]) => texts.map((text) => parseLimits(text)[0]?.windowMs)
    expect(windows(['5/second', '10/seconds', '100/sec', '50/s'])).toEqual(Array(4).fill(1_000))
    expect(windows(['1/minute', '1/minutes', '1/min', '1/m'])).toEqual(Array(4).fill(60_000))
    expect(windows(['1/hour', '1/hours', '1/hr', '1/h'])).toEqual(Array(4).fill(3_600_000))
    expect(windows(['1/day', '1/days', '1/d'])).toEqual(Array(3).fill(86_400_000))
  })

  it('G2: spaces around both parts', () => {
    expect(parseLimits('  100  /  minute  ')).toEqual([{ count: 100, windowMs: 60_000 }])
  })

  it('G3: no slash, no number, unknown period, negative and zero name the cause', () => {
    for (const text of ['100', 'abc/minute', '10/fortnight', '-5/minute', '0/minute']) {
      expect(() => new RateLimiter(text as string)).toThrow(/at position \d+: expected/)
    }
  })
})

describe('engine', () => {
  it('E1: limits alone are enough: token bucket, burst = the count, no block', () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter('10/minute', { clock })
    expect(limiter.algorithm).toBe('token-bucket')
    expect(admitted(checks(limiter, 'k', 11))).toBe(10)
    expect(limiter.peek('k').retryAfterMs).toBe(6_000)
  })

  it('E2: a burst over the count is kept; anything out of range is refused', () => {
    expect(
      admitted(checks(open('token-bucket', '100/minute', { burst: 150 }).limiter, 'k', 200)),
    ).toBe(150)
    const refused: object[] = [
      { burst: 99 },
      { burst: 0 },
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

  it('E3: fixed window 10/60: remaining runs 9..0, the 11th is denied with 0', () => {
    const decisions = checks(open('fixed-window').limiter, 'k', 11)
    expect(decisions.map((d) => d.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
    expect(decisions.at(-1)?.allowed).toBe(false)
  })

  it.each(ALGORITHMS)(
    'E4: with %s, a client that is exhausted leaves the next one alone',
    (algorithm) => {
      const { limiter } = open(algorithm)
      checks(limiter, 'A', 11)
      expect(limiter.check('B')).toMatchObject({ allowed: true, remaining: 9 })
    },
  )

  it('E5: whoever is not asked about is not charged (lists of exempt callers come with HTTP)', () => {
    const { limiter } = open('fixed-window')
    for (let i = 0; i < 100; i++) limiter.peek('listed')
    expect(limiter.check('listed').remaining).toBe(9)
  })

  it('E6: a blocked key is denied at once, and free again when taken off', () => {
    const { limiter } = open('fixed-window')
    limiter.block('k', 60_000)
    expect(limiter.check('k')).toMatchObject({ allowed: false, remaining: 0, retryAfterMs: 60_000 })
    limiter.reset('k')
    expect(limiter.allow('k')).toBe(true)
  })

  it('E7: every denial can be seen, with its decision', () => {
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

  it('E8: a limiter that is fine reports nothing to worry about', () => {
    const { limiter } = open('fixed-window')
    checks(limiter, 'k', 5)
    expect(limiter.stats()).toMatchObject({ evictions: 0, overflows: 0 })
    limiter.reset('k')
    expect(limiter.peek('k')).toMatchObject({ remaining: 10, resetMs: 0 })
  })

  it.each(ALGORITHMS)('E9: with %s, 1 per 2 s and a block of 2 s', (algorithm) => {
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
  })

  it('E10: a limiter that was closed says so', () => {
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

  it('T1: remaining falls with each request, the limit reads 10', () => {
    const decisions = checks(bucket().limiter, 'k', 15)
    expect(decisions.map((d) => d.remaining)).toEqual([
      14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,
    ])
    expect(decisions[0]).toMatchObject({ allowed: true, limit: 10 })
  })

  it('T2: the 16th at one instant is denied, and others are not affected', () => {
    const { limiter } = bucket()
    expect(checks(limiter, 'k', 16).at(-1)).toMatchObject({
      allowed: false,
      remaining: 0,
      retryAfterMs: 6_000,
    })
    expect(limiter.check('other').remaining).toBe(14)
  })

  it('T3: tokens come back in proportion to the time', () => {
    const { clock, limiter } = bucket()
    checks(limiter, 'k', 15)
    clock.advance(30_000)
    expect(limiter.peek('k').remaining).toBe(5)
    clock.advance(600_000)
    expect(limiter.peek('k').remaining).toBe(15)
  })
})

describe('log, leaky bucket and fixed window', () => {
  it.each(['sliding-log', 'leaky-bucket', 'fixed-window'] as const)(
    'L1: with %s, remaining 9..0, the 11th is denied and told when to come back',
    (algorithm) => {
      const decisions = checks(open(algorithm).limiter, 'k', 11)
      expect(decisions.map((d) => d.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
      expect(decisions.at(-1)?.retryAfterMs).toBe(algorithm === 'leaky-bucket' ? 6_000 : 60_000)
    },
  )

  it('L2: log 3 per 2 s: 3, then denied, also a second later, not 2.1 s later', () => {
    const { clock, limiter } = open('sliding-log', '3/2s')
    expect(admitted(checks(limiter, 'k', 4))).toBe(3)
    clock.advance(1_000)
    expect(limiter.allow('k')).toBe(false)
    clock.advance(1_100)
    expect(limiter.allow('k')).toBe(true)
  })

  it('L3: log 5 per 2 s: 4 at once, one more at 1.5 s, no sixth before the first four have left', () => {
    const { clock, limiter } = open('sliding-log', '5/2s')
    checks(limiter, 'k', 4)
    clock.advance(1_500)
    expect(admitted(checks(limiter, 'k', 2))).toBe(1)
    clock.advance(500)
    expect(limiter.peek('k').remaining).toBe(4)
  })

  it('L4: log 10/60: of 5 requests none counts 61 s later', () => {
    const { clock, limiter } = open('sliding-log')
    checks(limiter, 'k', 5)
    clock.advance(61_000)
    expect(limiter.check('k').remaining).toBe(9)
  })

  it('L5: fixed 5 per s: the sixth is denied, the next window is not', () => {
    const { clock, limiter } = open('fixed-window', '5/s')
    expect(admitted(checks(limiter, 'k', 6))).toBe(5)
    clock.advance(1_000)
    expect(limiter.check('k').remaining).toBe(4)
  })
})

describe('sliding window of 10 a minute', () => {
  it('S1: 10 in one window: remaining 9..0, the 11th is denied', () => {
    const decisions = checks(open('sliding-window').limiter, 'k', 11)
    expect(decisions.map((d) => d.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
    expect(decisions.at(-1)?.retryAfterMs).toBeGreaterThan(0)
  })

  it('S2: 8 at t=0, then 4 + 1 more half way through the next window', () => {
    const { clock, limiter } = open('sliding-window')
    checks(limiter, 'k', 8)
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 5))).toBe(5)
  })

  it('S3: 10 at t=59, at t=61 fewer than 5 of ten', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_000)
    expect(admitted(checks(limiter, 'k', 10))).toBe(10)
    clock.set(61_000)
    expect(admitted(checks(limiter, 'k', 10))).toBeLessThan(5)
  })

  it('S4: 10 at t=59.99, one at t=60.0 exactly is denied', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_990)
    checks(limiter, 'k', 10)
    clock.set(60_000)
    expect(limiter.allow('k')).toBe(false)
  })

  it('S5: 5 at t=30, 7 at t=90, one at t=150 with at least 5 remaining', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(30_000)
    checks(limiter, 'k', 5)
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 7))).toBe(7)
    clock.set(150_000)
    expect(limiter.check('k')).toMatchObject({ allowed: true, remaining: 5 })
  })

  it('S6: nothing before, 6 at t=90 are all admitted', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 6))).toBe(6)
  })

  it('S7: one at 59.999 and one at 60.001 are both admitted', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_999)
    expect(limiter.allow('k')).toBe(true)
    clock.set(60_001)
    expect(limiter.allow('k')).toBe(true)
  })

  it('S8: limit 1000: 900 at t=30, at t=90 exactly 550 more', () => {
    const { clock, limiter } = open('sliding-window', '1000/minute')
    clock.set(30_000)
    checks(limiter, 'k', 900)
    clock.set(90_000)
    expect(admitted(checks(limiter, 'k', 600))).toBe(550)
  })

  it('S9: fractions of a millisecond and of a second are fine', () => {
    const { clock, limiter } = open('sliding-window')
    clock.set(59_700)
    expect(limiter.allow('k')).toBe(true)
    clock.set(60_300.25)
    expect(limiter.allow('k')).toBe(true)
  })

  it.each(WINDOWED)('S10: with %s, 1,000 clients x 5 requests are all admitted', (algorithm) => {
    const { limiter } = open(algorithm)
    for (let client = 0; client < 1_000; client++) {
      expect(admitted(checks(limiter, `client:${client}`, 5))).toBe(5)
    }
  })
})
