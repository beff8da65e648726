import { type Decision, FakeClock, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'

const clock = new FakeClock()

it('each decision is a separate object: keeping or changing one changes no other', () => {
  const limiter = new RateLimiter('1000/minute', { clock })
  const kept = Array.from({ length: 100 }, () => limiter.check('k'))
  const copies = kept.map((decision) => ({ ...decision }))
  Object.assign(kept[0] as Decision, { remaining: -1, allowed: false })
  const other = limiter.peek('someone else')
  limiter.stats()
  expect(kept.slice(1)).toEqual(copies.slice(1))
  expect(kept.map((decision) => decision.remaining).slice(1)).toEqual(
    Array.from({ length: 99 }, (_, i) => 998 - i),
  )
  expect(other.remaining).toBe(1_000)
})

it('a decision has eight plain, enumerable fields, whether admitted or denied', () => {
  const limiter = new RateLimiter('1/minute', { clock })
  const times = ['resetMs', 'retryAfter', 'retryAfterMs']
  const fields = ['allowed', 'limit', 'limitResetMs', 'policy', 'remaining', ...times]
  const answers = [limiter.check('k'), limiter.check('k'), limiter.peek('k'), limiter.check('k', 2)]
  for (const answer of answers) expect(Object.keys(answer).sort()).toEqual(fields)
  const never = { retryAfterMs: Number.POSITIVE_INFINITY, retryAfter: undefined }
  expect(limiter.check('k', 2)).toMatchObject(never)
})

it('a decision stays valid after its limiter is closed', () => {
  const limiter = new RateLimiter('5/minute', { clock })
  const decision = limiter.check('k')
  limiter.close()
  expect(decision).toEqual({
    allowed: true,
    limit: 5,
    remaining: 4,
    resetMs: 12_000,
    limitResetMs: 12_000,
    retryAfterMs: 0,
    retryAfter: 0,
    policy: 0,
  })
})

it('a call that throws does not change the key of the call before', () => {
  const limiter = new RateLimiter('5/minute')
  limiter.allow('a')
  expect(() => limiter.allow('b', -1)).toThrow(RangeError)
  limiter.allow('b')
  expect([limiter.peek('a').remaining, limiter.peek('b').remaining]).toEqual([4, 4])
})

describe('numbers of more than 32 bits', () => {
  const border = 2 ** 31
  const algorithms = ['token-bucket', 'fixed-window', 'sliding-log'] as const
  const cases = algorithms.flatMap((algorithm) =>
    [border - 1, border, border + 1].map((windowMs) => ({ algorithm, windowMs })),
  )

  it.each(cases)('$algorithm returns $windowMs ms exactly', ({ algorithm, windowMs }) => {
    const limiter = new RateLimiter({ count: 1, windowMs }, { algorithm, clock: new FakeClock() })
    const resets = { resetMs: windowMs, limitResetMs: windowMs }
    const admitted = { allowed: true, retryAfterMs: 0, retryAfter: 0 }
    const denied = {
      allowed: false,
      retryAfterMs: windowMs,
      retryAfter: Math.ceil(windowMs / 1000),
    }
    const still = { limit: 1, remaining: 0, ...resets, policy: 0 }
    expect(limiter.check('k')).toEqual({ ...still, ...admitted })
    expect(limiter.check('k')).toEqual({ ...still, ...denied })
    expect(limiter.peek('k')).toEqual({ ...still, ...denied })
  })

  it.each([border - 1, border, border + 1])('a block of %d ms is returned exactly', (ms) => {
    const limiter = new RateLimiter('1/minute', { clock: new FakeClock() })
    limiter.block('k', ms)
    expect(limiter.peek('k')).toMatchObject({ allowed: false, retryAfterMs: ms, resetMs: ms })
  })

  it('one limiter returns values on both sides of 2**31 in turn, over time and between keys', () => {
    const time = new FakeClock()
    const limiter = new RateLimiter({ count: 1, windowMs: border + 2 }, { clock: time })
    limiter.check('old')
    for (const left of [border + 2, border + 1, border, border - 1, border - 2]) {
      expect(limiter.peek('old')).toMatchObject({ resetMs: left, retryAfterMs: left })
      expect(limiter.peek('new')).toMatchObject({ remaining: 1, resetMs: 0, retryAfterMs: 0 })
      time.advance(1)
    }
  })

  it('decisions on both sides of 2**31 have the same eight fields', () => {
    const fields = [border - 1, border].map((windowMs) => {
      const limiter = new RateLimiter({ count: 1, windowMs }, { clock })
      return Object.keys(limiter.check('k')).sort()
    })
    expect(fields[0]).toEqual(fields[1])
  })
})
