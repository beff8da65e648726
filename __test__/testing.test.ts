import FakeTimers from '@sinonjs/fake-timers'
import { FakeClock as Original, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { limit } from 'ratethrottle/decorators'
import { FakeClock, testLimiter, timersClock } from 'ratethrottle/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'

/** What the fake timers of vitest, sinon and jest can all do. */
interface Timers {
  advance(ms: number): void
  advanceAsync(ms: number): Promise<unknown>
  setTime(ms: number): void
  pending(): number
  restore(): void
}

function vitest(): Timers {
  vi.useFakeTimers()
  return {
    advance: (ms) => vi.advanceTimersByTime(ms),
    advanceAsync: (ms) => vi.advanceTimersByTimeAsync(ms),
    setTime: (ms) => vi.setSystemTime(ms),
    pending: () => vi.getTimerCount(),
    restore: () => vi.useRealTimers(),
  }
}

/** Starts at 0, long before the real time. The modern fake timers of jest are the same library. */
function sinon(): Timers {
  // Only what is named: faking nextTick or setImmediate too would stop the test runner's own work for ever.
  const clock = FakeTimers.install({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
  return {
    advance: (ms) => clock.tick(ms),
    advanceAsync: (ms) => clock.tickAsync(ms),
    setTime: (ms) => clock.setSystemTime(ms),
    pending: () => clock.countTimers(),
    restore: () => clock.uninstall(),
  }
}

describe.each([
  ['vitest', vitest],
  ['sinon', sinon],
])('under the fake timers of %s', (_, install) => {
  let timers: Timers | undefined
  afterEach(() => timers?.restore())

  it('a test limiter follows the fake timers', () => {
    timers = install()
    const limiter = testLimiter('2/minute')
    const admitted = [0, 29_999, 1, 0, 30_000].map((ms) => {
      timers?.advance(ms)
      return [limiter.allow('k'), limiter.allow('k')]
    })
    const expected = [true, true, false, false, true, false, false, false, true, false]
    expect(admitted.flat()).toEqual(expected)
    expect(limiter.peek('k').retryAfterMs).toBe(30_000)
  })

  it('a limiter made before the fake timers follows them, also when they start in the past', () => {
    const limiter = testLimiter('1/minute')
    expect(limiter.allow('k')).toBe(true)
    timers = install()
    expect(limiter.allow('k')).toBe(false)
    timers.advance(60_000)
    expect([limiter.allow('k'), limiter.allow('k')]).toEqual([true, false])
  })

  it('wait() resolves at the exact time, and leaves no timer', async () => {
    timers = install()
    const start = Date.now()
    const limiter = testLimiter('1/second', { algorithm: 'leaky-bucket' })
    const seen: number[] = []
    const waits = Array.from({ length: 4 }, () =>
      limiter.wait('k').then(() => seen.push(Date.now() - start)),
    )
    const late = limiter.wait('k', { maxWaitMs: 10_000 })
    for (let i = 0; i < 40; i++) await timers.advanceAsync(100)
    await Promise.all([...waits, late])
    expect(seen).toEqual([0, 1_000, 2_000, 3_000])
    expect(timers.pending()).toBe(0)
  })

  it('an aborted wait leaves no timer', async () => {
    timers = install()
    const limiter = testLimiter('1/second')
    const abort = new AbortController()
    await limiter.wait('k')
    const wait = limiter.wait('k', { signal: abort.signal })
    expect(timers.pending()).toBe(1)
    abort.abort(new Error('enough'))
    await expect(wait).rejects.toThrow('enough')
    expect(timers.pending()).toBe(0)
  })

  it('the system time may be set, also to an earlier time', () => {
    timers = install()
    timers.setTime(1_000_000)
    const limiter = testLimiter('1/minute')
    limiter.allow('k')
    timers.setTime(1_060_000)
    expect(limiter.allow('k')).toBe(true)
    timers.setTime(0)
    expect(limiter.allow('k')).toBe(false)
    timers.advance(60_000)
    expect(limiter.allow('k')).toBe(true)
  })

  it('decorated methods follow the fake timers by the same clock', () => {
    timers = install()
    const context = { kind: 'method', name: 'm' } as ClassMethodDecoratorContext
    const limited = limit('1/minute', { clock: timersClock })({ m: () => 'ran' }.m, context)
    limited()
    expect(limited).toThrow(RateLimitExceeded)
    timers.advance(60_000)
    expect(limited()).toBe('ran')
  })

  it('the native clock ignores fake timers, so tests need timersClock', () => {
    timers = install()
    const limiter = new RateLimiter('1/hour')
    limiter.allow('k')
    timers.advance(3_600_000)
    expect(limiter.allow('k')).toBe(false)
  })
})

it('without fake timers a test limiter follows the real time', async () => {
  const limiter = testLimiter('50/second', { burst: 50 })
  for (let i = 0; i < 50; i++) limiter.allow('k')
  expect(limiter.peek('k').allowed).toBe(false)
  await limiter.wait('k')
})

it('testLimiter takes the options of a limiter, also a clock, and refuses unknown ones', () => {
  const clock = new FakeClock()
  const limiter = testLimiter(['2/minute', '3/hour'], { clock, algorithm: 'fixed-window' })
  expect([limiter.algorithm, limiter.limits.length]).toEqual(['fixed-window', 2])
  limiter.check('k', 2)
  clock.advance(60_000)
  expect(limiter.peek('k')).toMatchObject({ allowed: true, remaining: 1 })
  expect(() => testLimiter('1/s', { max: 1 } as never)).toThrow(/^unknown option "max"/)
  expect(() => testLimiter('1/s', null as never)).toThrow(/^options must be an object/)
  expect(testLimiter('1/s', { clock: undefined }).allow('k')).toBe(true)
})

it('ratethrottle and ratethrottle/testing export the same FakeClock class', () => {
  expect(FakeClock).toBe(Original)
})
