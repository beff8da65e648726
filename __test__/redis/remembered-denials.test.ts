import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FakeClock } from 'ratethrottle'
import { expect, onTestFinished, test } from 'vitest'
import { limiterForTest, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'

const PATIENT = { deadlineMs: 30_000 }
const ROOM = 10_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes on the heap after a garbage collection. */
function heap(): number {
  for (let i = 0; i < 3; i++) collect()
  return process.memoryUsage().heapUsed
}

/** Iterations over maps with many entries, from now to the end of the test. */
function countWalks(): { walks: number } {
  const seen = { walks: 0 }
  const names = ['keys', 'values', 'entries', Symbol.iterator] as const
  for (const name of names) {
    const original = Map.prototype[name]
    Object.defineProperty(Map.prototype, name, {
      configurable: true,
      writable: true,
      value(this: Map<unknown, unknown>) {
        if (this.size > ROOM / 2) seen.walks++
        return original.call(this)
      },
    })
    onTestFinished(() => {
      Object.defineProperty(Map.prototype, name, {
        configurable: true,
        writable: true,
        value: original,
      })
    })
  }
  return seen
}

test('remembering one more denial in a full table does not walk over the table', async () => {
  const server = await serverForTest()
  const limiter = limiterForTest('1/hour', { url: server.url, ...PATIENT })
  const deny = async (from: number, count: number): Promise<void> => {
    for (let at = from; at < from + count; at += 1_000) {
      const keys = Array.from({ length: 1_000 }, (_, i) => `caller ${at + i}`)
      await Promise.all(keys.map((key) => limiter.check(key)))
      const again = await Promise.all(keys.map((key) => limiter.check(key)))
      expect(again.every(({ allowed }) => !allowed)).toBe(true)
    }
  }
  await deny(0, ROOM)
  const seen = countWalks()
  await deny(ROOM, 3_000)
  expect(seen.walks).toBeLessThan(10)
  // The latest are remembered all the same, and the oldest are not.
  const { asked } = limiter.stats()
  for (let i = 3_000; i < ROOM + 3_000; i += 500) await limiter.check(`caller ${i}`)
  expect(limiter.stats().asked).toBe(asked)
  await limiter.check('caller 2999')
  expect(limiter.stats().asked).toBe(asked + 1)
})

test.for([
  { kind: 'a block of a day', limits: '2/minute', options: { blockFor: '1 day' } },
  { kind: 'a window of a day', limits: '2/day', options: {} },
  { kind: 'a log of a week', limits: '2/week', options: { algorithm: 'sliding-log' } },
] as const)(
  '$kind is remembered for 30 seconds at most: a reset by another process is seen afterwards',
  async ({ limits, options }) => {
    const server = await serverForTest()
    const clock = new FakeClock(1_000_000_000)
    const common = { ...options, ...PATIENT, clock }
    const here = limiterForTest(limits, { ...common, url: server.url })
    const elsewhere = limiterForTest(limits, { ...common, url: `${server.url.slice(0, -2)}/00` })
    const hour = limiterForTest(limits, { ...common, url: server.url, localDenials: '1 hour' })
    await here.check('k', 2)
    for (const limiter of [here, hour]) expect((await limiter.check('k')).allowed).toBe(false)
    await elsewhere.reset('k')
    clock.advance(29_000)
    expect((await here.check('k')).allowed).toBe(false)
    clock.advance(1_000)
    expect((await here.check('k')).allowed).toBe(true)
    // An hour that is set by option is an hour.
    expect((await hour.check('k')).allowed).toBe(false)
    clock.advance(3_600_000)
    expect((await hour.check('k')).allowed).toBe(true)
  },
)

test('a denied key does not keep in memory the text that it was cut from', async () => {
  const server = await serverForTest()
  const limiter = limiterForTest('1/hour', { url: server.url, ...PATIENT })
  await untilExact(limiter)
  const deny = async (from: number, count: number, letter: string): Promise<void> => {
    for (let at = from; at < from + count; at += 500) {
      const texts = Array.from({ length: 500 }, (_, i) => letter.repeat(16_000) + (at + i))
      const keys = texts.map((text) => text.slice(text.length - 60))
      for (const _ of [1, 2]) await Promise.all(keys.map((key) => limiter.check(key)))
    }
  }
  await deny(0, 500, 'w')
  const before = heap()
  await deny(500, 9_000, 'x')
  expect(heap() - before).toBeLessThan(10e6)
  // Another alphabet, and longer than what is kept as it is.
  await deny(0, 1_000, '\u0436')
  expect(heap() - before).toBeLessThan(12e6)
})

test('long keys are remembered by their hash, and are not mixed up', async () => {
  const server = await serverForTest()
  const limiter = limiterForTest('1/hour', { url: server.url, ...PATIENT })
  await untilExact(limiter)
  const before = heap()
  // Lone surrogates and texts of the same length: what differs in one unit is two keys.
  const keyOf = (n: number): string =>
    `${'\ud800'.repeat(400)}${String.fromCharCode(0xdc00 + (n % 1_000))}${n}`.padEnd(3_000, 'k')
  for (let at = 0; at < 9_000; at += 500) {
    const keys = Array.from({ length: 500 }, (_, i) => keyOf(at + i))
    const first = await Promise.all(keys.map((key) => limiter.check(key)))
    expect(first.every(({ allowed }) => allowed)).toBe(true)
    await Promise.all(keys.map((key) => limiter.check(key)))
  }
  expect(heap() - before).toBeLessThan(12e6)
  const { asked } = limiter.stats()
  for (let n = 0; n < 9_000; n += 450) expect((await limiter.check(keyOf(n))).allowed).toBe(false)
  expect(limiter.stats().asked).toBe(asked)
})
