import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { expect, test } from 'vitest'
import { limiterForTest } from '../redis/faults.ts'
import { serverForTest } from '../redis/server.ts'
import { collect } from './pacers.ts'

/** How many of these promises are settled by now, and with what errors. */
async function settled(waits: readonly Promise<unknown>[]) {
  const errors: unknown[] = []
  let admitted = 0
  for (const wait of waits) {
    wait.then(
      () => admitted++,
      (error) => errors.push(error),
    )
  }
  await sleep(300)
  return { admitted, errors }
}

test('beyond a thousand waiters for one key, all are refused at once', async () => {
  const limiter = new RateLimiter('1/hour')
  const waits = Array.from({ length: 1_501 }, () => limiter.wait('k'))
  const { admitted, errors } = await settled(waits)
  expect(admitted).toBe(1)
  expect(errors).toHaveLength(500)
  for (const error of errors) {
    expect(error).toBeInstanceOf(RateLimitExceeded)
    expect(error).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', decision: { allowed: false } })
    expect((error as Error).message).toMatch(/wait for this key as maxWaitersPerKey allows$/)
  }
  limiter.close()
})

test('at most ten thousand waiters for all keys together', async () => {
  const limiter = new RateLimiter('1/hour')
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
  const waits = keys.flatMap((key) => Array.from({ length: 701 }, () => limiter.wait(key)))
  const { admitted, errors } = await settled(waits)
  expect(admitted).toBe(20)
  expect(errors).toHaveLength(20 * 700 - 10_000)
  expect(`${errors[0]}`).toMatch(/wait for this limiter as maxWaiters allows$/)
  limiter.close()
})

test('both maximums have an option, and a waiter that leaves makes room', async () => {
  const make = (options: object) => new RateLimiter('1/hour', options as { name?: string })
  expect(() => make({ maxWaitersPerKey: 2, maxWaiters: 3 })).not.toThrow()
  const limiter = make({ maxWaitersPerKey: 2, maxWaiters: 3 })
  await Promise.all([limiter.wait('a'), limiter.wait('b')])
  const abort = new AbortController()
  const first = limiter.wait('a', { signal: abort.signal })
  const rest = ['a', 'a', 'b', 'b'].map((key) => limiter.wait(key))
  const { errors } = await settled(rest)
  expect(errors).toHaveLength(2)
  abort.abort(new Error('left'))
  await expect(first).rejects.toThrow('left')
  expect((await settled([limiter.wait('a'), limiter.wait('a')])).errors).toHaveLength(1)
  limiter.close()
})

test('both maximums hold with Redis', async () => {
  const { url } = await serverForTest()
  const limiter = limiterForTest('1/hour', { url, deadlineMs: 10_000 })
  await limiter.wait('k')
  const waits = Array.from({ length: 1_200 }, () => limiter.wait('k'))
  const errors: unknown[] = []
  for (const wait of waits) wait.catch((error) => errors.push(error))
  for (let i = 0; i < 100 && errors.length < 200; i++) await sleep(50)
  expect(errors).toHaveLength(200)
  for (const error of errors) expect(error).toBeInstanceOf(RateLimitExceeded)
})

test('a waiter that would be late by its place in the queue is refused at once', async () => {
  const clock = new FakeClock()
  for (const algorithm of [
    'token-bucket',
    'sliding-window',
    'fixed-window',
    'sliding-log',
  ] as const) {
    const limiter = new RateLimiter('10/second', { algorithm, clock })
    for (let i = 0; i < 10; i++) limiter.check('k')
    const waits = Array.from({ length: 100 }, () => limiter.wait('k', { maxWaitMs: 2_000 }))
    const { errors } = await settled(waits)
    // 20 or 21 can be served in two seconds, by a window at the edge of a second.
    expect([algorithm, errors.length >= 79]).toEqual([algorithm, true])
    expect([algorithm, errors.length <= 90]).toEqual([algorithm, true])
    limiter.close()
  }
})

test('a wait leaves no listener on a signal that outlives it', async () => {
  const { url } = await serverForTest()
  const limiter = limiterForTest('1000000/second', { url, deadlineMs: 10_000 })
  const { signal } = new AbortController()
  for (let i = 0; i < 50; i++) await limiter.wait('k', { signal })
  const record = signal as unknown as Record<symbol, { size?: number }>
  const values = Object.getOwnPropertySymbols(signal).map((symbol) => record[symbol])
  // Node keeps the signals that depend on another in an internal set.
  const sets = values.filter((value) => Object.prototype.toString.call(value) === '[object Set]')
  const held = sets.map((set) => set?.size ?? 0)
  expect(held.reduce((sum, size) => sum + size, 0)).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('waits with leaky-bucket are evenly paced from the first call on', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter(['10/second', '1000/hour'], { algorithm: 'leaky-bucket', clock })
  const times: number[] = []
  for (let i = 0; i < 30; i++) limiter.wait('k').then(() => times.push(clock.now()))
  for (let i = 0; i < 30; i++) {
    await sleep(0)
    clock.advance(100)
  }
  expect(times).toEqual(Array.from({ length: 30 }, (_, i) => i * 100))
  // A check keeps the whole burst.
  const burst = Array.from({ length: 10 }, () => limiter.check('other').allowed)
  expect(burst).toEqual(Array.from({ length: 10 }, () => true))
})

for (const tier of ['shared', 'redis'] as const) {
  test(`waits of two processes are evenly paced together, ${tier}`, async () => {
    const storage = tier === 'redis' ? (await serverForTest()).url : `shared:pacers-${process.pid}`
    const { began, times, gapMs } = await collect(storage, 6)
    expect(times).toHaveLength(12)
    // None earlier than its turn, except for the rounding of a millisecond. How late depends on the machine.
    const early = times.filter((time, i) => time - began < i * gapMs - 1)
    expect(early).toEqual([])
  })
}
