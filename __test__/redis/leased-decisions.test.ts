import { type Decision, FakeClock, RateLimiter } from 'ratethrottle'
import { expect, test } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { randomFor } from '../fixtures/random.ts'
import { limiterForTest, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'

const WALKS = 40
const STEPS = 40

/** What does not depend on when a batch was taken. */
function told({ allowed, remaining, limit, policy }: Decision): object {
  return { allowed, remaining, limit, policy }
}

test.for(ALGORITHMS)(
  '%s with a lease decides as the native limiter, by every method',
  async (algorithm) => {
    const random = randomFor(`leased ${algorithm}`)
    const server = await serverForTest()
    const patient = { deadlineMs: 30_000 }
    const { storage } = limiterForTest('1/hour', { url: server.url, ...patient })
    for (let walk = 0; walk < WALKS; walk++) {
      const clock = new FakeClock(1_000_000)
      const limits = random.pick(['20/minute', '12/second; 20/minute'])
      const blockFor = random.chance(0.3) ? '1 minute' : undefined
      const size = random.integer(1, 8)
      const options = { algorithm, clock, blockFor }
      const native = new RateLimiter(limits, options)
      const lease = { size, ttl: '1 hour' }
      const redis = limiterForTest(limits, {
        ...options,
        ...patient,
        storage,
        name: `w${walk}`,
        lease,
      })
      if (walk === 0) await untilExact(redis)
      for (let step = 0; step < STEPS; step++) {
        const cost = random.chance(0.6) ? 1 : random.integer(0, 4)
        const way = random.chance(0.6) ? 'check' : 'peek'
        const where = { limits, blockFor, size, walk, step, way, cost }
        const [want, got] = [native[way]('k', cost), await redis[way]('k', cost)]
        expect({ where, ...told(got) }).toEqual({ where, ...told(want) })
        const left = redis.standings('k', got).map(({ remaining }) => remaining)
        const own = native.standings('k').map(({ remaining }) => remaining)
        expect({ where, left }).toEqual({ where, left: own })
      }
      native.close()
      await redis.close()
    }
  },
)
