import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Decision } from 'ratethrottle'
import type { RedisLimiter, RedisLimiterOptions } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import { failures, limiterForTest, sleep, until, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'
import { SlowWire } from './slow-wire.ts'

const DEADLINE_MS = 1_000
const PATIENT = { deadlineMs: 30_000, algorithm: 'fixed-window' } as const

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  for (let i = 0; i < 3; i++) collect()
  return process.memoryUsage().heapUsed
}

/** The greatest delay of the event loop from now on, in milliseconds. */
function lag(): { ms: number } {
  const seen = { ms: 0 }
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    seen.ms = Math.max(seen.ms, now - last - 5)
    last = now
  }, 5)
  onTestFinished(() => clearInterval(timer))
  return seen
}

/** Makes calls in waves; returns the longest wait of a call. */
async function waves(limiter: RedisLimiter<string>, ms: number): Promise<number> {
  let longest = 0
  const call = async (): Promise<void> => {
    const start = performance.now()
    await limiter.check('k')
    longest = Math.max(longest, performance.now() - start)
  }
  const calls: Promise<void>[] = []
  for (const end = performance.now() + ms; performance.now() < end; await sleep(DEADLINE_MS / 4)) {
    for (let i = 0; i < 100; i++) calls.push(call())
  }
  await Promise.all(calls)
  return longest
}

test('with leases no call waits longer than its deadline, while Redis is frozen or slow', async () => {
  const lagging = lag()
  for (const lateMs of [0.4 * DEADLINE_MS, 1.2 * DEADLINE_MS, Number.POSITIVE_INFINITY]) {
    const server = await serverForTest()
    const wire = await SlowWire.before(server.port)
    const limiter = limiterForTest('1000000/hour', {
      url: wire.url,
      deadlineMs: DEADLINE_MS,
      lease: { size: 30, ttl: 500 },
      processes: 1,
    })
    await untilExact(limiter)
    if (lateMs === Number.POSITIVE_INFINITY) server.signal('SIGSTOP')
    else wire.requestMs = lateMs
    lagging.ms = 0
    const longest = await waves(limiter, 2_000)
    expect([lateMs, longest - DEADLINE_MS - lagging.ms < 600]).toEqual([lateMs, true])
    if (lateMs < DEADLINE_MS) expect(failures(limiter)).toBe(0)
    else expect(failures(limiter)).toBeGreaterThan(0)
    server.signal('SIGCONT')
  }
})

test('near the limit all calls of one batch settle in time, and exactly the limit is admitted', async () => {
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  const limiter = limiterForTest('50/hour', {
    url: wire.url,
    algorithm: 'fixed-window',
    deadlineMs: DEADLINE_MS,
    lease: { size: 40 },
  })
  await untilExact(limiter)
  wire.requestMs = 0.7 * DEADLINE_MS
  const lagging = lag()
  const start = performance.now()
  const calls = await Promise.all(Array.from({ length: 90 }, () => limiter.check('k')))
  expect(performance.now() - start - DEADLINE_MS - lagging.ms).toBeLessThan(600)
  expect(calls.filter(({ allowed }) => allowed)).toHaveLength(50)
  expect(failures(limiter)).toBe(0)
  const denied = calls.filter(({ allowed }) => !allowed)
  for (const { retryAfterMs, remaining, limit } of denied) {
    expect([remaining, limit]).toEqual([0, 50])
    expect(retryAfterMs).toBeGreaterThan(3_500_000)
  }
})

/** The same call by each method. */
async function ways(limiter: RedisLimiter<string>): Promise<boolean[]> {
  const waited = limiter.wait('k', { maxWaitMs: 0 }).then(
    () => true,
    () => false,
  )
  const answers: Decision[] = [await limiter.peek('k'), await limiter.check('k', 0)]
  return [...answers.map(({ allowed }) => allowed), await waited]
}

test('while a lease has units, every method decides as check does', async () => {
  const server = await serverForTest()
  const terms = { ...PATIENT, url: server.url } as RedisLimiterOptions
  const limiter = limiterForTest('100/hour', { ...terms, lease: { size: 60, ttl: '1 hour' } })
  const other = limiterForTest('100/hour', { ...terms, url: `${server.url.slice(0, -2)}/00` })
  await untilExact(limiter)
  await Promise.all(Array.from({ length: 40 }, () => limiter.check('k')))
  await Promise.all(Array.from({ length: 10 }, () => limiter.check('k')))
  // Whatever the lease has left, Redis has nothing beside it.
  const { remaining: rest } = await other.peek('k')
  await other.check('k', rest)
  const { remaining: atHand } = await limiter.peek('k')
  expect(atHand).toBe(50 - rest)
  expect(atHand).toBeGreaterThan(2)
  expect(await ways(limiter)).toEqual([true, true, true])
  const decision = await limiter.check('k')
  expect(decision).toMatchObject({ allowed: true, remaining: atHand - 2 })
  expect(limiter.standings('k', decision)[0]?.remaining).toBe(atHand - 2)
  // A cost above the units of the lease is denied by both, with the same remaining.
  for (const asked of [limiter.peek('k', 60), limiter.check('k', 60)]) {
    expect(await asked).toMatchObject({ allowed: false, remaining: atHand - 2 })
  }
})

test('while a denial is remembered, every method denies the key', async () => {
  const server = await serverForTest()
  const terms = { ...PATIENT, url: server.url } as RedisLimiterOptions
  const limiter = limiterForTest('5/hour', terms)
  const other = limiterForTest('5/hour', { ...terms, url: `${server.url.slice(0, -2)}/00` })
  await limiter.check('k', 5)
  const denied = await limiter.check('k')
  await other.reset('k')
  const [peeked, asked] = [await limiter.peek('k'), await limiter.check('k', 0)]
  for (const seen of [peeked, asked, await limiter.check('k')]) {
    expect(seen).toMatchObject({ allowed: false, remaining: 0, policy: denied.policy })
  }
  expect(await ways(limiter)).toEqual([false, false, false])
  // A greater cost is asked of Redis. That it is admitted shows that the denial is out of date.
  expect((await limiter.check('k', 2)).allowed).toBe(true)
  expect((await limiter.check('k')).allowed).toBe(true)
  expect(await ways(limiter)).toEqual([true, true, true])
})

test('20,000 leased and denied keys do not keep in memory the texts that they were cut from', async () => {
  const server = await serverForTest()
  const limiter = limiterForTest('1/hour', {
    ...PATIENT,
    url: server.url,
    lease: { size: 10, ttl: '1 hour' },
  })
  await untilExact(limiter)
  const ask = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 500) {
      const texts = Array.from({ length: 500 }, (_, i) => 'x'.repeat(16_000) + (at + i))
      const keys = texts.map((text) => text.slice(text.length - 40))
      for (const _ of [1, 2]) await Promise.all(keys.map((key) => limiter.check(key)))
    }
  }
  await ask(0, 500)
  const before = heap()
  await ask(500, 20_500)
  expect(heap() - before).toBeLessThan(10e6)
  // Keys that are too long are not kept.
  const long = Array.from({ length: 1_000 }, (_, i) => `${'long '.repeat(2_000)}${i}`)
  for (const _ of [1, 2]) await Promise.all(long.map((key) => limiter.check(key)))
  long.length = 0
  expect(heap() - before).toBeLessThan(12e6)
})

test('units of a lease that ends while Redis is away are not added to the local fallback', async () => {
  const server = await serverForTest()
  const limiter = limiterForTest('100/hour', {
    ...PATIENT,
    deadlineMs: DEADLINE_MS,
    url: server.url,
    processes: 4,
    lease: { size: 20, ttl: 2_000 },
  })
  await untilExact(limiter)
  for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 5 }, () => limiter.check('k')))
  server.signal('SIGKILL')
  await until(async () => {
    const before = failures(limiter)
    await limiter.check('is it away?', 0)
    return failures(limiter) > before
  })
  // More than the lease has, so it is charged to this process's share of 25.
  expect((await limiter.check('k', 24)).allowed).toBe(true)
  const { leased } = limiter.stats()
  await sleep(4_500)
  const answers = await Promise.all(Array.from({ length: 100 }, () => limiter.check('k')))
  expect(answers.filter(({ allowed }) => allowed)).toHaveLength(1)
  expect(limiter.stats().leased).toBe(leased)
})
