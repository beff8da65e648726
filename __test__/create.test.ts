import { createLimiter, FakeClock, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'

describe('createLimiter', () => {
  it('makes a limiter from plain options', async () => {
    for (const storage of [undefined, 'memory:', 'memory', 'memory://', 'MEMORY:']) {
      const limiter = createLimiter({ limits: '2/minute', storage, algorithm: 'fixed_window' })
      const { remaining } = await limiter.check('k')
      expect([limiter.algorithm, limiter.storage, remaining]).toEqual([
        'fixed-window',
        'memory:',
        1,
      ])
    }
  })

  it('prints no address of a storage in its errors', () => {
    const foreign = () =>
      createLimiter({ limits: '2/minute', storage: 'mongodb://user:secret@host' })
    expect(foreign).toThrow(RangeError)
    expect(foreign).not.toThrow('secret')
    expect(() => createLimiter({ limits: '2/minute', storage: 5 as unknown as string })).toThrow(
      'storage',
    )
    expect(() => createLimiter({ limits: '2/minute', store: 1 } as never)).toThrow('store')
  })

  it('accepts the algorithm names of RateThrottle for Python', () => {
    const spellings = [
      'token_bucket',
      'leaky_bucket',
      'sliding_window',
      'fixed_window',
      'sliding_counter',
    ] as const
    const read = spellings.map((algorithm) => new RateLimiter('2/minute', { algorithm }).algorithm)
    expect(read).toEqual([
      'token-bucket',
      'leaky-bucket',
      'sliding-window',
      'fixed-window',
      'sliding-window',
    ])
  })

  it('accepts durations in the spelling of limit strings', () => {
    const clock = new FakeClock()
    for (const [blockFor, ms] of [
      ['5 minutes', 300_000],
      ['90s', 90_000],
      ['hour', 3_600_000],
      [1_500, 1_500],
    ] as const) {
      const limiter = new RateLimiter('1/s', { blockFor, clock })
      limiter.allow('k')
      expect(limiter.check('k').retryAfterMs).toBe(Math.max(ms, 1_000))
    }
    expect(new RateLimiter('1/s', { blockFor: 0, clock }).check('k').allowed).toBe(true)
  })
})

describe('several limits', () => {
  it('the decision describes the limit that denies, else the one with the least left', () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter(['3/second', '4/minute'], { algorithm: 'fixed-window', clock })
    expect(limiter.check('k')).toMatchObject({ limit: 3, policy: 0, remaining: 2, resetMs: 60_000 })
    limiter.check('k', 2)
    expect(limiter.check('k')).toMatchObject({
      allowed: false,
      limit: 3,
      policy: 0,
      retryAfterMs: 1_000,
    })
    clock.advance(1_000)
    expect(limiter.check('k')).toMatchObject({ allowed: true, limit: 4, policy: 1, remaining: 0 })
    expect(limiter.check('k')).toMatchObject({
      allowed: false,
      limit: 4,
      policy: 1,
      retryAfterMs: 59_000,
    })
  })

  it('a burst applies to the shortest window', () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter(['10/second', '1000/hour'], { burst: 20, clock })
    expect(limiter.peek('k').remaining).toBe(20)
  })
})

describe('RateLimitExceeded', () => {
  it('has the fields that a handler needs, and no key', () => {
    const limiter = new RateLimiter('1/minute', { clock: new FakeClock() })
    limiter.allow('secret key')
    try {
      limiter.consume('secret key')
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(RateLimitExceeded)
      expect(error).toMatchObject({
        name: 'RateLimitExceeded',
        code: 'RATE_LIMIT_EXCEEDED',
        statusCode: 429,
        retryAfter: 60,
        message: 'Rate limit exceeded, retry in 60 seconds',
      })
      expect(JSON.stringify(error) + (error as Error).stack).not.toContain('secret key')
    }
  })

  it('rounds seconds up, and has another message when waiting does not help', () => {
    const reset = { resetMs: 1, limitResetMs: 1, retryAfter: undefined }
    const decision = { allowed: false, limit: 1, remaining: 0, ...reset, policy: 0 }
    expect(new RateLimitExceeded({ ...decision, retryAfterMs: 1 }).retryAfter).toBe(1)
    expect(new RateLimitExceeded({ ...decision, retryAfterMs: 1_001 }).retryAfter).toBe(2)
    const never = new RateLimitExceeded({ ...decision, retryAfterMs: Number.POSITIVE_INFINITY })
    expect([never.retryAfter, never.message]).toEqual([
      Number.POSITIVE_INFINITY,
      'Rate limit exceeded: this request costs more than the limit ever admits',
    ])
  })
})

describe('FakeClock', () => {
  it('runs its timers in order, each at its time, also those set by a timer', () => {
    const clock = new FakeClock(5)
    const seen: string[] = []
    clock.setTimer(() => seen.push(`b ${clock.now()}`), 20)
    clock.setTimer(() => {
      seen.push(`a ${clock.now()}`)
      clock.setTimer(() => seen.push(`c ${clock.now()}`), 5)
    }, 10)
    clock.setTimer(() => seen.push('never'), 12)()
    clock.advance(100)
    expect([seen, clock.now()]).toEqual([['a 15', 'c 20', 'b 25'], 105])
  })

  it('refuses times that are not valid', () => {
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number]) {
      expect(() => new FakeClock(bad)).toThrow('startMs')
      expect(() => new FakeClock().advance(bad)).toThrow('ms')
      expect(() => new FakeClock().set(bad)).toThrow('ms')
    }
  })
})
