import {
  type AsyncConcurrencyLimiter,
  type CreateConcurrencyOptions,
  createConcurrencyLimiter,
  type Permit,
} from 'ratethrottle'
import { expect, it, onTestFinished } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { serverForTest } from '../redis/server.ts'

function open(options: CreateConcurrencyOptions): AsyncConcurrencyLimiter {
  const limiter = createConcurrencyLimiter(options)
  onTestFinished(() => limiter.close())
  return limiter
}

async function untilAway(limiter: AsyncConcurrencyLimiter): Promise<void> {
  const isAway = async (): Promise<boolean> => {
    await limiter.held('none')
    return !(await limiter.ready()).available
  }
  await until(isAway, PATIENCE, 'the outage')
}

it('after Redis has lost its data, those who held a permit before come before those admitted meanwhile', async () => {
  const server = await serverForTest()
  const options = { storage: server.url, perKey: 2, name: 'older', onError: 'open' as const }
  // None of the leases is due by itself before the test is over.
  const limiter = open({ ...options, leaseMs: 60_000, deadlineMs: 30_000 })
  const older = [await limiter.acquire('k'), await limiter.acquire('k')]
  server.signal('SIGKILL')
  await untilAway(limiter)
  const later = await Promise.all(Array.from({ length: 5 }, () => limiter.acquire('k')))
  await server.restart()
  await until(async () => (await limiter.ready()).available, PATIENCE, 'Redis')
  const other = open({ ...options, deadlineMs: 30_000 })
  await until(async () => (await other.held('k')) === 2, PATIENCE, 'the permits')
  for (const permit of later) permit.release()
  await until(async () => limiter.stats().held === 2, PATIENCE, 'the releases')
  expect(await other.held('k')).toBe(2)
  await expect(other.acquire('k')).rejects.toMatchObject({ reason: 'perKey' })
  expect(older.map(({ isLost }) => isLost)).toEqual([false, false])
})

it('callers whose own key is full are no reason to refuse others for the total', async () => {
  const server = await serverForTest()
  const limits = { perKey: 1, total: 1_000_000 }
  const limiter = open({ storage: server.url, ...limits, queue: 10, deadlineMs: 50, processes: 1 })
  await limiter.ready()
  server.signal('SIGSTOP')
  const all = Array.from({ length: 1_000 }, (_, i) => limiter.acquire(`full ${i % 100}`))
  const settled = Promise.allSettled(all)
  await until(() => limiter.stats().held === 100, PATIENCE, 'as many as there are keys')
  const taken: Permit[] = []
  for (let wave = 0; wave < 50; wave++) {
    const keys = Array.from({ length: 10 }, (_, i) => `free ${wave} ${i}`)
    for (const one of await Promise.all(keys.map((key) => limiter.take(key)))) {
      expect(one).toMatchObject({ isLost: false })
      taken.push(one as Permit)
    }
  }
  expect(taken).toHaveLength(500)
  await limiter.close()
  await settled
})
