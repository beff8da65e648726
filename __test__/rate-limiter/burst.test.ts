import { createLimiter, FakeClock, parseLimits, RateLimiter } from 'ratethrottle'
import { limit } from 'ratethrottle/decorators'
import { RedisLimiter } from 'ratethrottle/redis'
import { afterEach, describe, expect, test } from 'vitest'
import { randomFor } from '../fixtures/random.ts'
import { serve } from '../http/serve.ts'
import { startServer } from '../redis/server.ts'
import { freshName } from '../shared/place.ts'

const SECOND = 1_000
const HOUR = 3_600_000
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** What a version without bursts below the count says of one is an error, which is no limiter. */
function opened<T>(open: () => T): T {
  let made: T | undefined
  let error: unknown
  try {
    made = open()
  } catch (thrown) {
    error = thrown
  }
  expect(`${error ?? 'opened'}`).toBe('opened')
  return made as T
}

/** `{ count, windowMs, burst }`, also where the type has no burst. */
function limitOf(
  count: number,
  windowMs: number,
  burst: number,
): { count: number; windowMs: number } {
  const made = { count, windowMs, burst }
  return made
}

/** When units are admitted to a caller who asks every millisecond. */
function admissions(limiter: RateLimiter, clock: FakeClock, ms: number): number[] {
  const start = clock.now()
  const seen: number[] = []
  for (; clock.now() < start + ms; clock.advance(1)) {
    while (limiter.allow('k')) seen.push(clock.now() - start)
  }
  return seen
}

describe.each(['token-bucket', 'leaky-bucket'] as const)('%s', (algorithm) => {
  test('a burst of 1 admits one call every W/N from the first on', () => {
    const clock = new FakeClock(7_000)
    const limiter = opened(() => new RateLimiter('10/second', { algorithm, burst: 1, clock }))
    const paced = Array.from({ length: 20 }, (_, i) => 100 * i)
    expect(admissions(limiter, clock, 2 * SECOND)).toEqual(paced)
  })

  test('each of several limits has its given burst', () => {
    const clock = new FakeClock(7_000)
    const limits = [limitOf(10, SECOND, 2), limitOf(3_600, HOUR, 5), { count: 50, windowMs: HOUR }]
    const limiter = opened(() => new RateLimiter(limits, { algorithm, clock }))
    // Two at once; then one each 100 ms until the second limit's five are spent, and one a second after that.
    expect(admissions(limiter, clock, 2 * SECOND)).toEqual([0, 0, 100, 200, 300, 1_000])
    expect(limiter.check('other', 3)).toMatchObject({
      retryAfterMs: Number.POSITIVE_INFINITY,
      policy: 0,
    })
  })

  test('no window admits more than burst + N - 1, for any burst', () => {
    const random = randomFor(`bursts ${algorithm}`)
    for (let round = 0; round < 200; round++) {
      const count = random.integer(1, 30)
      const windowMs = random.pick([50, 333, 1_000, 60_000])
      const burst = random.integer(1, random.chance(0.8) ? count : 2 * count)
      const clock = new FakeClock(random.integer(0, 10_000))
      const where = { count, windowMs, burst }
      const limiter = opened(
        () => new RateLimiter(limitOf(count, windowMs, burst), { algorithm, clock }),
      )
      const times: number[] = []
      for (let step = 0; step < 300; step++) {
        const cost = random.chance(0.7) ? 1 : random.integer(1, burst)
        const { allowed, retryAfterMs } = limiter.check('k', cost)
        for (let i = 0; allowed && i < cost; i++) times.push(clock.now())
        clock.advance(random.pick([0, 0, 1, retryAfterMs, random.integer(0, windowMs)]))
      }
      const most = Math.max(
        ...times.map((from, i) => times.slice(i).filter((at) => at < from + windowMs).length),
      )
      expect({ ...where, isBound: most <= burst + count - 1 }).toEqual({ ...where, isBound: true })
      limiter.close()
    }
  })

  test('a cost above the burst is never admitted and changes nothing', () => {
    const clock = new FakeClock(7_000)
    const limiter = opened(
      () => new RateLimiter('10/second', { algorithm, burst: 4, blockFor: HOUR, clock }),
    )
    for (const cost of [5, 10, 11]) {
      expect(limiter.check('k', cost)).toMatchObject({
        allowed: false,
        retryAfterMs: Number.POSITIVE_INFINITY,
      })
    }
    expect(limiter.check('k', 4)).toMatchObject({
      allowed: true,
      remaining: 0,
      resetMs: 400,
      limit: 10,
    })
    expect(limiter.peek('k', 4).retryAfterMs).toBe(400)
    expect(limiter.standings('k')).toEqual([{ remaining: 0, moreMs: 100 }])
    clock.advance(10_000)
    expect(limiter.peek('k')).toMatchObject({ remaining: 4, resetMs: 0 })
  })
})

describe('burst in all storages and entry points', () => {
  test('Redis and the shared storage use the burst, and separate limiters of different bursts', async () => {
    const server = await startServer()
    closing.push(() => server.stop())
    const clock = new FakeClock(50_000)
    const name = freshName()
    const limits = [limitOf(10, SECOND, 3), limitOf(100, HOUR, 7)]
    const options = { url: server.url, name, clock, deadlineMs: 30_000 }
    const native = opened(() => new RateLimiter(limits, { clock }))
    const redis = opened(() => new RedisLimiter(limits, options))
    closing.push(() => redis.close())
    // On the real clock, so with a window in which nothing comes back while this test runs.
    const shared = opened(() => new RateLimiter(limitOf(10, HOUR, 3), { name, shared: true }))
    closing.push(() => shared.close())
    for (const cost of [1, 4, 2, 1, 3, 1, 8, 2, 1]) {
      const decision = native.check('k', cost)
      expect(await redis.check('k', cost)).toEqual(decision)
      clock.advance(170)
    }
    const taken = [1, 2, 3, 4].map(() => shared.allow('k'))
    expect(taken).toEqual([true, true, true, false])
    const other = new RedisLimiter(
      [{ count: 10, windowMs: SECOND }, limitOf(100, HOUR, 7)],
      options,
    )
    closing.push(() => other.close())
    expect((await other.check('k')).remaining).toBe(6)
  })

  test('adapters, decorators, createLimiter and parseLimits accept burst', async () => {
    const limits = limitOf(60, 60_000, 2)
    expect(opened(() => parseLimits([limits, '5/s']))).toEqual([
      limits,
      { count: 5, windowMs: SECOND },
    ])
    const byOption = await serve('node:http', { limits: '60/minute', burst: 2 }).catch(
      () => undefined,
    )
    expect(await byOption?.statuses(3)).toEqual([200, 200, 429])
    const byLimit = await serve('Express 5', { limits: [limits, '500/hour'] })
    expect(await byLimit.statuses(3)).toEqual([200, 200, 429])
    const byCaller = await serve('node:http', { limits: () => [limits] })
    expect(await byCaller.statuses(3)).toEqual([200, 200, 429])
    const created = createLimiter({ limits })
    closing.push(() => created.close())
    expect((await created.check('k')).remaining).toBe(1)
    const where = { kind: 'method', name: 'send' } as ClassMethodDecoratorContext
    const send = limit(limits)((): string => 'sent', where) as () => string
    const sent = [1, 2, 3].map(() => {
      try {
        return send()
      } catch {
        return 'refused'
      }
    })
    expect(sent).toEqual(['sent', 'sent', 'refused'])
  })

  test('two bursts for one limit, and a burst where the algorithm has none, are errors with a code', () => {
    const own = limitOf(10, SECOND, 3)
    const wrong: [object, object, string][] = [
      [[{ count: 9, windowMs: HOUR }, own], { burst: 5 }, 'INVALID_OPTION'],
      [own, { algorithm: 'sliding-window' }, 'INVALID_OPTION'],
      [own, { algorithm: 'fixed-window' }, 'INVALID_OPTION'],
      [[{ count: 9, windowMs: HOUR }, own], { algorithm: 'sliding-log' }, 'INVALID_OPTION'],
      [{ count: 9, windowMs: HOUR }, { algorithm: 'sliding-log', burst: 9 }, 'INVALID_OPTION'],
    ]
    for (const [limits, options, code] of wrong) {
      const said = { limits: JSON.stringify(limits), ...options }
      let error: unknown
      try {
        new RateLimiter(limits as never, options)
      } catch (thrown) {
        error = thrown
      }
      expect({ ...said, code: (error as { code?: string }).code }).toEqual({ ...said, code })
      expect(`${error}`).toContain('burst')
    }
    // The option is for the limit with the shortest window; another one may have its own.
    const fine = opened(() => new RateLimiter([limitOf(100, HOUR, 3), '10/second'], { burst: 2 }))
    expect(fine.peek('k').remaining).toBe(2)
  })
})
