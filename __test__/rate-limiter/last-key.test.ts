import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RateLimiter } from 'ratethrottle'
import { expect, onTestFinished, test } from 'vitest'
import { sleep } from '../redis/faults.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  for (let i = 0; i < 3; i++) collect()
  return process.memoryUsage().heapUsed
}

/** The end of a text that was put together a moment ago, as of a header or a body. */
function cutFrom(characters: number, n: number): string {
  const text = 'x'.repeat(characters) + String(n).padStart(20, '0')
  // Flat, as what comes from a socket is.
  return Buffer.from(text).toString().slice(-20)
}

test('a thousand limiters keep in memory few of the texts that their last keys were cut from', () => {
  const limiters = Array.from(
    { length: 1_000 },
    (_, i) => new RateLimiter(`${i + 1}/hour`, { capacity: 8 }),
  )
  onTestFinished(() => {
    for (const limiter of limiters) limiter.close()
  })
  const ask = (): void => {
    for (const [n, limiter] of limiters.entries()) {
      if (n % 2 === 0) limiter.allow(cutFrom(50_000, n))
      else limiter.check(cutFrom(50_000, n))
    }
  }
  const before = heap()
  ask()
  expect(heap() - before).toBeLessThan(4e6)
})

test('an idle limiter releases its last key, and counts it correctly when it returns', async () => {
  const limiter = new RateLimiter('4/hour', { capacity: 8 })
  onTestFinished(() => limiter.close())
  const before = heap()
  expect(limiter.allow(cutFrom(20_000_000, 1))).toBe(true)
  // As often as it takes, but not for ever.
  for (let i = 0; i < 100 && heap() - before > 5e6; i++) await sleep(50)
  expect(heap() - before).toBeLessThan(5e6)
  const asked = Array.from({ length: 4 }, () => limiter.allow(cutFrom(10, 1)))
  expect(asked).toEqual([true, true, true, false])
  expect(limiter.allow(cutFrom(10, 2))).toBe(true)
})
