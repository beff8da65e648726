import { type Clock, FakeClock, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'

describe('FakeClock', () => {
  it('stands still until it is moved, and starts at any time', () => {
    expect(new FakeClock().now()).toBe(0)
    const clock = new FakeClock(1_700_000_000_000.5)
    clock.advance(0)
    expect(clock.now()).toBe(1_700_000_000_000.5)
    clock.advance(0.25)
    expect(clock.now()).toBe(1_700_000_000_000.75)
  })

  it('runs no timer on set(), and late timers at the next advance()', () => {
    const clock = new FakeClock()
    const seen: number[] = []
    clock.setTimer(() => seen.push(clock.now()), 10)
    clock.set(50)
    expect(seen).toEqual([])
    clock.advance(0)
    expect(seen).toEqual([50])
    clock.set(5)
    clock.advance(100)
    expect([seen, clock.now()]).toEqual([[50], 105])
  })

  it('runs a timer once, and no cancelled timer, also if cancelled twice or by another timer', () => {
    const clock = new FakeClock()
    const seen: string[] = []
    const stop = clock.setTimer(() => seen.push('stopped'), 10)
    clock.setTimer(() => {
      seen.push('first')
      stop()
      stop()
    }, 10 - 1)
    clock.advance(1_000)
    clock.advance(1_000)
    expect(seen).toEqual(['first'])
  })

  it('stays usable when a timer throws', () => {
    const clock = new FakeClock()
    clock.setTimer(() => {
      throw new Error('from the timer')
    }, 10)
    expect(() => clock.advance(20)).toThrow('from the timer')
    expect(clock.now()).toBe(10)
    clock.advance(20)
    expect(clock.now()).toBe(30)
  })

  it('never goes back, also when a timer advances it', () => {
    const clock = new FakeClock()
    clock.setTimer(() => clock.advance(100), 5)
    clock.advance(10)
    expect(clock.now()).toBe(105)
  })
})

describe('a custom clock', () => {
  it('is any object with now() in milliseconds, such as performance', () => {
    const limiter = new RateLimiter('2/hour', { clock: performance })
    expect([1, 2, 3].map(() => limiter.allow('k'))).toEqual([true, true, false])
  })

  it('may be Date itself', () => {
    const clock: Clock = Date
    expect(new RateLimiter('2/hour', { clock }).allow('k')).toBe(true)
  })

  it('may have setTimer, which must be a function', () => {
    const wrong = { now: () => 0, setTimer: 5 } as unknown as Clock
    expect(() => new RateLimiter('2/hour', { clock: wrong })).toThrow(TypeError)
    expect(() => new RateLimiter('2/hour', { clock: wrong })).toThrow('clock.setTimer')
  })

  it('is called with its own this', () => {
    class Watch implements Clock {
      readonly #start = 1_000
      now(): number {
        return this.#start
      }
    }
    expect(new RateLimiter('2/hour', { clock: new Watch() }).allow('k')).toBe(true)
  })

  it('is shared by limiters, and a step back counts as no time', () => {
    const clock = new FakeClock(1_000_000)
    const limiters = ['token-bucket', 'fixed-window'] as const
    const [bucket, fixed] = limiters.map(
      (algorithm) => new RateLimiter('2/minute', { algorithm, clock }),
    ) as [RateLimiter, RateLimiter]
    for (const limiter of [bucket, fixed]) limiter.consume('k', 2)
    clock.set(0)
    expect([bucket, fixed].map((limiter) => limiter.peek('k').retryAfterMs)).toEqual([
      30_000, 60_000,
    ])
    clock.advance(30_000)
    expect([bucket, fixed].map((limiter) => limiter.peek('k').retryAfterMs)).toEqual([0, 30_000])
  })

  it('may jump forward by years: every key is new, and no error occurs', () => {
    for (const at of [2 ** 31 - 5, 2 ** 32 - 5, 9_007_199_254.74, 9_223_371_036_854]) {
      const clock = new FakeClock()
      const limiter = new RateLimiter(['3/second', '5/minute'], { clock })
      limiter.consume('k', 3)
      clock.set(at)
      expect(limiter.check('k', 3)).toMatchObject({ allowed: true, remaining: 0 })
      expect(limiter.check('k').allowed).toBe(false)
    }
  })
})
