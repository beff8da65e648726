import { FakeClock, RateLimiter } from 'ratethrottle'
import { RedisLimiter } from 'ratethrottle/redis'
import { afterEach, expect, test } from 'vitest'
import { type Server, startServer } from '../redis/server.ts'
import { freshName } from '../shared/place.ts'
import { ADAPTERS, serve } from './serve.ts'

const MINUTE = 60_000
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function redis(): Promise<Server> {
  const server = await startServer()
  closing.push(() => server.stop())
  return server
}

/** `t` of each member of the header, in seconds. */
function waits(header: unknown): number[] {
  return `${header}`.split(', ').map((item) => Number(/;t=(\d+)/.exec(item)?.[1]))
}

test.each(ADAPTERS)(
  '%s, 5 an hour with blockFor 1 minute: t of the draft header equals Retry-After',
  async (adapter) => {
    const options = { limits: ['5/hour', '100/day'], blockFor: '1 minute', headers: 'draft' }
    const running = await serve(adapter, { ...options, clock: new FakeClock() })
    await running.statuses(5)
    for (let i = 0; i < 2; i++) {
      const { headers } = await running.ask()
      const [hour = 0, day = 0] = waits(Reflect.get(headers, 'ratelimit'))
      expect({ hour, retryAfter: headers['retry-after'] }).toEqual({ hour: 720, retryAfter: '720' })
      // The other limit would admit one as soon as the block is over.
      expect(day > 50 && day <= 60).toBe(true)
    }
  },
)

test('t equals Retry-After under a block by steps, in memory and in Redis', async () => {
  const { url } = await redis()
  for (const storage of ['memory:', url]) {
    const running = await serve('node:http', {
      limits: ['5/hour', '100/day'],
      blockFor: ['1 minute', '2 hours'],
      headers: 'draft',
      storage,
      deadlineMs: storage === url ? 30_000 : undefined,
      clock: new FakeClock(),
    })
    await running.statuses(5)
    const { headers } = await running.ask()
    const [hour = 0, day = 0] = waits(Reflect.get(headers, 'ratelimit'))
    const seen = { storage: storage.slice(0, 5), hour, day, retryAfter: headers['retry-after'] }
    expect(seen).toEqual({ storage: storage.slice(0, 5), hour: 720, day: 60, retryAfter: '720' })
  }
})

test('standings of every storage are right while the block is longer than the window and while it is shorter', async () => {
  const { url } = await redis()
  const limits = ['4/hour', '50/day']
  const clock = new FakeClock(1_000)
  const timed = { clock, blockFor: '20 minutes' } as const
  const native = new RateLimiter(limits, timed)
  const shared = new RateLimiter(limits, {
    blockFor: '20 minutes',
    shared: true,
    name: freshName(),
  })
  closing.push(() => shared.close())
  const open = (name: string, options: object): RedisLimiter => {
    const limiter = new RedisLimiter(limits, {
      url,
      name,
      ...timed,
      deadlineMs: 30_000,
      ...options,
    })
    closing.push(() => limiter.close())
    return limiter
  }
  const asking = open('asking', { localDenials: false })
  const remembering = open('remembering', {})
  for (const limiter of [native, shared, asking, remembering]) await limiter.check('k', 4)
  shared.block('k', MINUTE)
  const [own] = shared.standings('k')
  // A unit is back 15 minutes after the first, less what this test took so far.
  expect(own?.moreMs).toBeGreaterThan(10 * MINUTE)

  // A unit is back after 15 minutes, the block ends after 20.
  for (const [minutes, expected] of [
    [0, [20, 20]],
    [4, [16, 16]],
  ] as const) {
    clock.advance(minutes * MINUTE)
    for (const [name, limiter] of Object.entries({ native, asking, remembering })) {
      const decision = await limiter.check('k')
      const ms = limiter.standings('k', decision).map(({ moreMs }) => moreMs / MINUTE)
      expect({ name, minutes, ms }).toEqual({ name, minutes, ms: expected })
    }
  }
  // From here on the block is one minute, and the unit eleven minutes away.
  for (const limiter of [native, asking, remembering]) await limiter.block('k', MINUTE)
  for (const [name, limiter] of Object.entries({ native, asking, remembering })) {
    for (const seconds of [0, 0, 30]) {
      const decision = await limiter.peek('k')
      const [hour, day] = limiter.standings('k', decision)
      const seen = { name, hour: hour?.moreMs, day: day?.moreMs, retry: decision.retryAfterMs }
      expect(seen).toEqual({ name, hour: 11 * MINUTE, day: MINUTE, retry: 11 * MINUTE })
      if (seconds > 0) expect(hour?.remaining).toBe(0)
    }
  }
})

test('a remembered denial has the time that is left, not the original time', async () => {
  const { url } = await redis()
  const clock = new FakeClock(1_000)
  const options = { url, clock, blockFor: '1 minute', deadlineMs: 30_000 } as const
  const limiter = new RedisLimiter(['5/hour', '40/day'], { ...options, name: 'aged' })
  closing.push(() => limiter.close())
  await limiter.check('k', 5)
  await limiter.check('k')
  for (const seconds of [7, 7, 7]) {
    clock.advance(seconds * 1_000)
    const decision = await limiter.check('k')
    const [hour, day] = limiter.standings('k', decision)
    const passed = clock.now() - 1_000
    expect(limiter.stats().deniedLocally).toBeGreaterThan(0)
    expect([hour?.moreMs, day?.moreMs]).toEqual([12 * MINUTE - passed, MINUTE - passed])
    expect(decision.retryAfterMs).toBe(12 * MINUTE - passed)
  }
})
