import { RedisLimiter, RedisStorage } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { limiterForTest, sleep } from './faults.ts'
import { freePort } from './server.ts'

const MANY = byLength(2_000, 10_000)
const KEYS = 20

/** A storage at a port where no server listens, after the limiter has noticed it. */
async function away(): Promise<RedisStorage> {
  const storage = new RedisStorage(`redis://127.0.0.1:${await freePort()}/0`)
  await limiterForTest('1/hour', { storage }).check('k')
  return storage
}

test('thousands of limiters without Redis take little memory, and each keeps its limit', async () => {
  const storage = await away()
  const limiters = Array.from({ length: MANY }, (_, i) => {
    const limit = i % 2 === 0 ? 3 + (i % 5_000) : 3
    // Not by the hour: on a busy machine one would come back meanwhile.
    return new RedisLimiter(`${limit}/365d`, { storage, name: `tenant ${i}`, deadlineMs: 50 })
  })
  onTestFinished(async () => {
    await Promise.all(limiters.map((limiter) => limiter.close()))
  })
  await sleep(100)
  const before = process.memoryUsage().rss
  let rejected = 0
  for (let from = 0; from < MANY; from += 100) {
    const some = limiters.slice(from, from + 100)
    const calls = some.flatMap((limiter) =>
      Array.from({ length: KEYS }, (_, key) => limiter.check(`caller ${key}`)),
    )
    const outcomes = await Promise.allSettled(calls)
    rejected += outcomes.filter(({ status }) => status === 'rejected').length
  }
  const grownMb = (process.memoryUsage().rss - before) / 1e6
  expect(rejected).toBe(0)
  expect(grownMb).toBeLessThan(600)
  // Each still counts for itself.
  for (const limiter of limiters.slice(-30)) {
    const limit = limiter.limits[0]?.count ?? 0
    const calls = Array.from({ length: limit + 5 }, () => limiter.check('caller of this one'))
    const answers = await Promise.all(calls)
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(limit)
  }
})

test('without memory for local counters, calls are denied with a warning, and none rejects', async () => {
  const warnings: unknown[] = []
  const listener = (warning: Error & { code?: string }): void => void warnings.push(warning.code)
  process.on('warning', listener)
  onTestFinished(() => void process.off('warning', listener))
  const huge = { capacity: 134_217_728, algorithm: 'sliding-log' } as const
  const limiter = limiterForTest('1000/minute', { storage: await away(), ...huge })
  const outcomes = await Promise.allSettled([
    limiter.check('k'),
    limiter.peek('k'),
    limiter.check('k', 3),
    limiter.block('k', 1_000),
    limiter.refund('k'),
    limiter.reset('k'),
  ])
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
  const decision = await limiter.check('k')
  expect(decision).toMatchObject({ allowed: false, retryAfterMs: 1_000, remaining: 0 })
  const ofMemory = () => warnings.filter((code) => code === 'RATETHROTTLE_NO_LOCAL')
  await expect.poll(ofMemory).toHaveLength(1)
})

test('a share that the core cannot represent is rounded down, never up', async () => {
  const storage = await away()
  // 333,333,334 has next to no divisor in common with the window.
  for (const [limit, processes] of [
    [1_000_000_000, 3],
    [1_000_000_000, 7],
  ] as const) {
    const options = { storage, processes, name: `of ${processes}` } as const
    const limiter = limiterForTest(`${limit}/day`, options)
    const share = Math.ceil(limit / processes)
    const { remaining } = await limiter.peek('k')
    expect(remaining).toBeLessThanOrEqual(share)
    expect(remaining).toBeGreaterThan(0.9 * share)
  }
})
