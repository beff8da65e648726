import { FakeClock, type Limit, RateLimitExceeded } from 'ratethrottle'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { RedisVariableLimiter } from '../../dist/redis/redis-limiter.js'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { type Server, startServer } from './server.ts'

let server: Server
let named = 0

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

function variable(options: object): RedisVariableLimiter {
  const own = { url: server.url, name: `waits ${++named}`, deadlineMs: 30_000 }
  const limiter = new RedisVariableLimiter({ ...own, ...options })
  onTestFinished(() => limiter.close())
  return limiter
}

const per = (count: number, windowMs: number): readonly Limit[] => [{ count, windowMs }]

it('callers with different limits wait in one queue for a key, first come, first served', async () => {
  const clock = new FakeClock(1_800_057_600_000)
  const limiter = variable({ algorithm: 'token-bucket', clock })
  const [slow, quick] = [limiter.with(per(1, 60_000)), limiter.with(per(3, 60_000))]
  expect((await slow.check('a')).allowed).toBe(true)
  const order: string[] = []
  const waits = [slow, quick, slow].map(async (tier, i) => {
    await tier.wait('a')
    order.push(String(i))
  })
  // They wait once they have asked.
  await slow.peek('a')
  while (order.length < 3) {
    clock.advance(5_000)
    await slow.peek('a')
  }
  await Promise.all(waits)
  expect(order).toEqual(['0', '1', '2'])
})

it('a wait that is too long is refused at once, and nothing is charged', async () => {
  const limiter = variable({ algorithm: 'fixed-window' })
  const tier = limiter.with(per(2, 60_000))
  expect((await tier.check('a', 2)).allowed).toBe(true)
  await expect(tier.wait('a', { maxWaitMs: 100 })).rejects.toThrow(RateLimitExceeded)
  await expect(limiter.with(per(1, 60_000)).wait('a', { cost: 2 })).rejects.toThrow(
    RateLimitExceeded,
  )
  expect((await limiter.with(per(3, 60_000)).check('a')).remaining).toBe(0)
})

it('an aborted wait is not charged, and close rejects the waits that are left', async () => {
  const limiter = variable({ algorithm: 'fixed-window' })
  const tier = limiter.with(per(1, 60_000))
  expect((await tier.check('a')).allowed).toBe(true)
  const leaving = new AbortController()
  const left = tier.wait('a', { signal: leaving.signal })
  left.catch(() => {})
  const waits = limiter.with(per(1, 90_000)).wait('b')
  expect((await waits).allowed).toBe(true)
  leaving.abort(new Error('left'))
  await expect(left).rejects.toThrow('left')
  const turnedAway = tier.wait('a')
  turnedAway.catch(() => {})
  await tier.peek('a')
  await limiter.close()
  await expect(turnedAway).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(tier.check('a')).rejects.toMatchObject({ code: 'CLOSED' })
})

it('a reset admits the first waiter, whatever its limits are', async () => {
  const limiter = variable({ algorithm: 'sliding-log' })
  const tier = limiter.with(per(1, 3_600_000))
  expect((await tier.check('a')).allowed).toBe(true)
  const waits = tier.wait('a')
  await tier.peek('a')
  await limiter.with(per(7, 1_000)).reset('a')
  expect((await waits).allowed).toBe(true)
})

it.each(ALGORITHMS)(
  '%s: a clock that steps back by a day does not deny a key for a day',
  async (algorithm) => {
    const clock = new FakeClock(1_800_057_600_000)
    const limiter = variable({ algorithm, clock, localDenials: false })
    const [minute, second] = [limiter.with(per(10, 60_000)), limiter.with(per(5, 1_000))]
    expect((await second.check('a', 5)).allowed).toBe(true)
    expect((await minute.check('a', 5)).allowed).toBe(true)
    clock.set(clock.now() - 86_400_000)
    // What was used counts as before.
    const denied = await minute.check('a', 6)
    expect(denied.allowed).toBe(false)
    expect(denied.retryAfterMs).toBeLessThanOrEqual(120_000)
    clock.advance(120_000)
    expect((await minute.check('a', 6)).allowed).toBe(true)
  },
)

it.each(ALGORITHMS)(
  '%s: a stored value that is no state of these limits counts as absent',
  async (algorithm) => {
    const limiter = variable({ algorithm, localDenials: false })
    const tier = limiter.with(per(3, 60_000))
    await tier.check('a')
    const states = await server.admin.keys('*:{a}')
    const state = states.find((key) => key.includes(`waits%0020${named}:`)) ?? ''
    expect(state).not.toBe('')
    const foreign = [
      () => server.admin.set(state, 'g'.repeat(900)),
      () => server.admin.set(state, `l${'\0'.repeat(2_000)}`),
      () => server.admin.set(state, ''),
      () => server.admin.lpush(state, 'x'),
    ]
    for (const put of foreign) {
      await server.admin.del(state)
      await put()
      const decision = await tier.check('a')
      expect([decision.allowed, decision.remaining]).toEqual([true, 2])
      expect((await tier.check('a')).remaining).toBe(1)
    }
  },
)

it('limits that cannot be counted exactly are refused at the call, with the code of the core', async () => {
  const limiter = variable({ algorithm: 'sliding-window' })
  let refused: unknown
  try {
    limiter.with(per(10_000_000, 1_000))
  } catch (error) {
    refused = error
  }
  expect(refused).toBeInstanceOf(RangeError)
  expect((await limiter.with(per(1, 1_000)).check('a')).allowed).toBe(true)
})
