import { FakeClock, RateLimiter } from 'ratethrottle'
import { expect, test } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { limiterForTest, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'

/** Limits, and the seconds after which it is asked again, most of them while the key is blocked. */
const CASES = [
  { limits: ['3/second', '5/minute'], blockFor: '2 minutes', steps: [1, 0, 20, 35, 4, 30, 29, 2] },
  { limits: ['5/minute', '3/10s'], blockFor: '30 s', steps: [1, 5, 4, 12, 3, 40, 0, 5] },
  {
    limits: ['4/hour', '2/second', '3/minute'],
    blockFor: '10 minutes',
    steps: [1, 59, 300, 200, 50],
  },
] as const

test.for(ALGORITHMS)(
  '%s under a block names the same limit as the native limiter',
  async (algorithm) => {
    const server = await serverForTest()
    for (const { limits, blockFor, steps } of CASES) {
      const clock = new FakeClock(1_000_000_000_000)
      const options = { algorithm, blockFor, clock }
      const native = new RateLimiter([...limits], options)
      const redis = limiterForTest(limits.join('; '), {
        ...options,
        url: server.url,
        name: limits.join(),
        localDenials: '1 hour',
        deadlineMs: 30_000,
      })
      await untilExact(redis)
      for (let turn = 0; turn < 3; turn++) {
        for (const [at, seconds] of steps.entries()) {
          for (let call = 0; call < 4; call++) {
            const where = { limits, turn, at, call }
            const [want, got] = [native.check('k'), await redis.check('k')]
            expect({ where, ...got }).toEqual({ where, ...want })
            const [seen, told] = [native.peek('k'), await redis.peek('k')]
            expect({ where, ...told }).toEqual({ where, ...seen })
          }
          clock.advance(seconds * 1_000)
        }
        clock.advance(3_600_000)
      }
      expect(redis.stats().deniedLocally).toBeGreaterThan(0)
      native.close()
    }
  },
)
