import type { StoreChange } from 'ratethrottle/redis'
import { expect, test } from 'vitest'
import { limiterForTest, sleep, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'
import { SlowWire } from './slow-wire.ts'

test('with a round trip of about deadlineMs fewer than 12 outages are reported in 7.5 seconds', async () => {
  const changes: StoreChange[] = [] as StoreChange[]
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  const limiter = limiterForTest('4/hour', {
    url: wire.url,
    onStoreChange: (change) => changes.push(change),
  })
  await untilExact(limiter)
  const end = performance.now() + 7_500
  for (; performance.now() < end; await sleep(5)) {
    wire.requestMs = 46 + 14 * Math.random()
    await limiter.check('k')
  }
  expect(changes.filter(({ available }) => !available).length).toBeLessThan(12)
})
