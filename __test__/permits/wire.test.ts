import { setTimeout as sleep } from 'node:timers/promises'
import { createConcurrencyLimiter } from 'ratethrottle'
import { expect, it, onTestFinished } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { serverForTest } from '../redis/server.ts'
import { Wire } from '../redis/wire.ts'

// A call whose answer does not come may have taken a permit: that is given back, and none is held twice.

it('what a call took whose connection broke, or whose answer was lost, is given back', async () => {
  const server = await serverForTest()
  const wire = await Wire.before(server.port)
  const options = { perKey: 6, total: 9, name: 'cut', leaseMs: 60_000 }
  const limiter = createConcurrencyLimiter({
    ...options,
    storage: wire.url,
    deadlineMs: 500,
    processes: 1,
  })
  const witness = createConcurrencyLimiter({ ...options, storage: server.url, deadlineMs: 30_000 })
  onTestFinished(async () => {
    await Promise.all([limiter.close(), witness.close()])
  })
  await limiter.ready()
  const kept = await limiter.acquire('k')
  const isAcquire = (bytes: Buffer): boolean =>
    bytes.includes('cut:permits') && bytes.includes('evalsha')
  for (let round = 0; round < 2; round++) {
    wire.silent = round % 2 === 1
    wire.cutAfterRequest = wire.silent ? undefined : isAcquire
    // Decided without Redis, while Redis may have given a permit as well.
    const permits = await Promise.all([limiter.acquire('k'), limiter.acquire('k')])
    expect(limiter.stats().held).toBe(3)
    wire.silent = false
    wire.cutAfterRequest = undefined
    await until(() => limiter.ready().then(({ available }) => available), PATIENCE, 'Redis')
    await until(async () => (await witness.held('k')) === 3, PATIENCE, 'three')
    // By then it has been given back what was taken twice, and told of what it did not decide.
    await sleep(1_100)
    await until(async () => (await witness.held('k')) === 3, PATIENCE, 'three, no more and no less')
    for (const permit of permits) permit.release()
    await until(async () => (await witness.held('k')) === 1, PATIENCE, 'one')
  }
  expect(kept.isLost).toBe(false)
  kept.release()
  await until(async () => (await witness.held('k')) === 0, PATIENCE, 'none')
})
