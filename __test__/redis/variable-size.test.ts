import { FakeClock, type Limit } from 'ratethrottle'
import { expect, it, onTestFinished } from 'vitest'
import { RedisVariableLimiter } from '../../dist/redis/redis-limiter.js'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { serverForTest } from './server.ts'

const per = (count: number, windowMs: number): readonly Limit[] => [{ count, windowMs }]

async function variable(options: object) {
  const server = await serverForTest()
  const own = { url: server.url, name: 'size', deadlineMs: 30_000, localDenials: false }
  const limiter = new RedisVariableLimiter({ ...own, ...options })
  onTestFinished(() => limiter.close())
  const size = async (): Promise<number> => {
    const [state = ''] = await server.admin.keys('*:{a}')
    return server.admin.strlen(state)
  }
  return { server, limiter, size }
}

it.each(ALGORITHMS)(
  '%s: a key used with a thousand windows keeps 24 records',
  async (algorithm) => {
    const clock = new FakeClock(1_800_057_600_000)
    const { limiter, size } = await variable({ algorithm, clock })
    for (let i = 0; i < 1_000; i++) {
      const [shorter] = per(2_000, 1_000 + i)
      await limiter.with([...per(2_000, 3_600_000), shorter as Limit]).check('a')
      clock.advance(20)
    }
    // The head of the state, the records, and in a log 14 bytes a charge.
    expect(await size()).toBeLessThanOrEqual(
      44 + 24 * 32 + (algorithm === 'sliding-log' ? 14_000 : 0),
    )
    // A unit of the hour owes more time than a bucket of a second holds: few are admitted.
    const { remaining } = await limiter.with(per(2_000, 3_600_000)).peek('a')
    if (algorithm === 'sliding-log' || algorithm === 'fixed-window') expect(remaining).toBe(1_000)
    else expect(remaining).toBeLessThan(2_000)
  },
)

it('a log keeps the charges that count, and at most as many expired ones', async () => {
  const clock = new FakeClock(1_800_057_600_000)
  const { limiter, size } = await variable({ algorithm: 'sliding-log', clock })
  const tier = limiter.with(per(50, 1_000))
  let [admitted, largest] = [0, 0]
  for (let i = 0; i < 2_000; i++) {
    if ((await tier.check('a')).allowed) admitted++
    clock.advance(10)
    if (i % 50 === 0) largest = Math.max(largest, await size())
  }
  expect(admitted).toBe(1_000)
  expect(largest).toBeLessThanOrEqual(812 + 14 * (2 * 64 + 64 + 1))
})

it.each(ALGORITHMS)(
  '%s: without Redis a process has its share of the limits of each call',
  async (algorithm) => {
    const { server, limiter } = await variable({ algorithm, processes: 3, deadlineMs: 50 })
    expect((await limiter.with(per(9, 3_600_000)).check('other')).remaining).toBe(8)
    server.signal('SIGKILL')
    let served = 0
    for (const count of [9, 30, 3, 9]) {
      const tier = limiter.with(per(count, 3_600_000))
      for (let i = 0; i < 12; i++) if ((await tier.check('a')).allowed) served++
      expect((await tier.peek('a')).limit).toBe(count)
    }

    expect(served).toBe(algorithm.endsWith('bucket') ? 3 : 10)
  },
)

it('without Redis each limiter has the share that its option processes says', async () => {
  const limiters = [1, 10].map((processes) => {
    const away = { url: 'redis://127.0.0.1:1', connectTimeoutMs: 50, onStoreChange: () => {} }
    const limiter = new RedisVariableLimiter({ ...away, processes })
    onTestFinished(() => limiter.close())
    return limiter.with([{ count: 10, windowMs: 60_000 }])
  })
  const left = await Promise.all(limiters.map(async (under) => (await under.check('k')).remaining))
  expect(left).toEqual([9, 0])
})
