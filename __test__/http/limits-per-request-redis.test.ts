import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Algorithm } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { type Server, serverForTest, startServer } from '../redis/server.ts'
import { planned } from './plans.ts'
import { listen } from './serve.ts'

const BUCKETS = ['token-bucket', 'leaky-bucket'] as const
const WINDOWS = ['sliding-window', 'sliding-log', 'fixed-window'] as const
const ALGORITHMS = [...BUCKETS, ...WINDOWS]

/** The most of a limit of 10 that any window may admit, see docs/concepts/guarantees.md. */
const BOUNDS = {
  'token-bucket': 19,
  'leaky-bucket': 19,
  'sliding-window': 19,
  'sliding-log': 10,
  'fixed-window': 20,
}

let server: Server
const TENANTS = byLength(500, 10_000)
let named = 0

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

/** As `planned`, with counters in Redis that no other test has. */
async function inRedis(options: object = {}) {
  const storage = server.url
  const own = { storage, name: `test ${++named}`, deadlineMs: 30_000, ...options }
  const made = await planned(own)
  onTestFinished(() => made.app.close())
  return made
}

test.each(ALGORITHMS)(
  '%s in Redis: limits that alternate between 10 and 1 never admit more than the limit of 10',
  async (algorithm) => {
    const { clock, ask } = await inRedis({ algorithm })
    const admitted: number[] = []
    let most = 0
    for (let ms = 0; ms < 120_000; ms += 500) {
      const { status } = await ask(`${10 - ((ms / 500) % 10)}/minute`)
      if (status === 200) admitted.push(ms)
      most = Math.max(most, admitted.filter((time) => ms < time + 60_000).length)
      clock.advance(500)
    }
    expect(most).toBeLessThanOrEqual(BOUNDS[algorithm])
    // They admit as much as the larger limit alone would.
    expect(admitted.length).toBeGreaterThanOrEqual(10)
  },
)

test.each(ALGORITHMS)(
  '%s in Redis: limits that go from 10 to 1 and back within a minute serve no more than the limit of 10',
  async (algorithm) => {
    const { clock, served } = await inRedis({ algorithm })
    let all = 0
    for (const count of [10, 9, 5, 2, 1, 3, 7, 10]) {
      all += await served({ count, windowMs: 60_000 }, 12)
      clock.advance(1)
    }
    expect(all).toBe(10)
  },
)

test.each(BUCKETS)(
  '%s in Redis: half of 10 a minute used leaves half a unit of 1 a minute',
  async (algorithm) => {
    const { clock, ask, served } = await inRedis({ algorithm })
    expect(await served('10/minute', 5)).toBe(5)
    expect(await ask('1/minute')).toMatchObject({ status: 429, retryAfter: 30 })
    clock.advance(29_999)
    expect((await ask('1/minute')).status).toBe(429)
    clock.advance(1)
    expect((await ask('1/minute')).status).toBe(200)
    expect(await ask('10/minute')).toMatchObject({ status: 429, retryAfter: 6 })
  },
)

test.each(BUCKETS)(
  '%s in Redis: a call with a small limit does not reduce what the key owes under a large one',
  async (algorithm) => {
    const { ask, served } = await inRedis({ algorithm })
    expect(await served('60/hour', 60)).toBe(60)
    expect(await ask('60/minute')).toMatchObject({ status: 429, retryAfter: 3541 })
    expect(await ask('60/hour')).toMatchObject({ status: 429, retryAfter: 60 })
  },
)

test.each(WINDOWS)(
  '%s in Redis: used units stay used when the window changes',
  async (algorithm) => {
    const { clock, ask, served } = await inRedis({ algorithm })
    // The beginning of a window that is aligned to the clock's zero.
    clock.advance(120_000 - (clock.now() % 60_000))
    expect(await served('10/minute', 5)).toBe(5)
    expect((await ask('5/minute')).status).toBe(429)
    expect(await ask('7/minute')).toMatchObject({ status: 200, remaining: 1 })
    expect(await served('12/minute', 20)).toBe(6)
    clock.advance(120_000)
    expect(await served('3/minute', 5)).toBe(3)
  },
)

test.each(ALGORITHMS)(
  '%s in Redis: a change of the window frees no used unit',
  async (algorithm) => {
    const { clock, ask, served } = await inRedis({ algorithm })
    clock.advance(7_200_000 - (clock.now() % 3_600_000))
    expect(await served('10/hour', 20)).toBe(10)
    expect((await ask('10/minute')).status).toBe(429)
    expect((await ask(['10/second', '10/hour'])).status).toBe(429)
    expect((await ask('10/hour')).status).toBe(429)
  },
)

test.each(ALGORITHMS)(
  '%s in Redis: a change from several limits to one and back frees no used unit',
  async (algorithm) => {
    const { clock, ask, served } = await inRedis({ algorithm })
    clock.advance(7_200_000 - (clock.now() % 3_600_000))
    expect(await served(['10/minute', '15/hour'], 12)).toBe(10)
    expect((await ask('10/minute')).status).toBe(429)
    clock.advance(60_000)
    expect(await served(['100/minute', '15/hour'], 20)).toBe(5)
    expect((await ask('15/hour')).status).toBe(429)
  },
)

test.each(ALGORITHMS)(
  '%s in Redis: hundreds of plans of one client admit no more than the largest of them',
  async (algorithm) => {
    const { served } = await inRedis({ algorithm })
    let all = 0
    for (let plan = 1; plan <= byLength(100, 300); plan++) {
      all += await served({ count: 1 + (plan % 3), windowMs: 3_600_000 + plan }, 2)
    }
    expect(all).toBeLessThanOrEqual(3)
  },
)

test.each(byLength<readonly Algorithm[]>(['token-bucket', 'sliding-window'], ALGORITHMS))(
  '%s: processes with different plans share what a client used',
  async (algorithm) => {
    const { url } = await serverForTest()
    const child = join(ROOT, '__test__/http/planner.mjs')
    const served = async (plan: string, times: number): Promise<number> => {
      const args = [child, url, algorithm, plan, String(times)]
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT })
      return Number(stdout)
    }
    const isBucket = algorithm.endsWith('bucket')
    expect(await served('10/day', 5)).toBe(5)
    // Half a day is owed: one of two a day. Or five units are used.
    expect(await served(isBucket ? '2/day' : '6/day', 3)).toBe(1)
    expect(await served('10/day', 10)).toBe(isBucket ? 0 : 4)
  },
)

test('many tenants with different limits take a key each in Redis, and no limiter in the process', async () => {
  const { url, admin } = await serverForTest()
  const { served } = await inRedis({ storage: url })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heap = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  await served('1/day', 1, 'first')
  const before = heap()
  let all = 0
  for (let tenant = 0; tenant < TENANTS; tenant++) {
    all += await served({ count: 1, windowMs: 3_600_000 + tenant }, 1, `tenant ${tenant}`)
  }
  expect(all).toBe(TENANTS)
  expect(await admin.dbsize()).toBeLessThan(TENANTS + 20)
  expect((heap() - before) / 2 ** 20).toBeLessThan((30 * TENANTS) / 10_000)
})

test('a remembered denial is not applied to other limits', async () => {
  const { ask } = await inRedis({ algorithm: 'fixed-window' })
  expect((await ask('1/minute')).status).toBe(200)
  expect((await ask('1/minute')).status).toBe(429)
  expect(await ask('100/minute')).toMatchObject({ status: 200, remaining: 98 })
  expect((await ask('1/minute')).status).toBe(429)
})

test('records in Redis live on after a change to a shorter window', async () => {
  const { url, admin } = await serverForTest()
  const { ask, served } = await inRedis({
    storage: url,
    algorithm: 'fixed-window',
    clock: undefined,
  })
  expect(await served('10/hour', 5)).toBe(5)
  expect((await ask('100/second')).status).toBe(200)
  const states = (await admin.keys('*:{one}')).sort()
  expect(states).toHaveLength(1)
  expect(await admin.pttl(String(states[0]))).toBeGreaterThan(3_500_000)
})

test('a block in Redis outlives a change of limits, and its steps grow across changes', async () => {
  const { clock, ask } = await inRedis({ blockFor: ['1 minute', '1 hour'] })
  expect((await ask('1/second')).status).toBe(200)
  expect(await ask('1/second')).toMatchObject({ status: 429, retryAfter: 60 })
  expect(await ask('1000/second')).toMatchObject({ status: 429, retryAfter: 60 })
  clock.advance(60_001)
  expect((await ask('1/minute')).status).toBe(200)
  expect((await ask('1/minute')).status).toBe(429)
})

test('one reset clears a key in Redis under all limits that it had', async () => {
  const { url, admin } = await serverForTest()
  let limits = '1/minute'
  const limiter = rateThrottle({ storage: url, limits: () => limits, key: () => 'one' })
  const base = await listen(limiter.wrap((_, response) => void response.end('done')))
  const status = async (): Promise<number> => (await fetch(base)).status
  expect(await status()).toBe(200)
  limits = '1/hour'
  expect(await status()).toBe(429)
  let failure: unknown
  try {
    await limiter.reset('one')
  } catch (error) {
    failure = error
  }
  expect(failure).toBe(undefined)
  expect(await admin.keys('*:{one}')).toEqual([])
  expect(await status()).toBe(200)
  await limiter.close()
})

test.each(ALGORITHMS)(
  '%s: while Redis is away a change of limits gives no new budget either',
  async (algorithm) => {
    const { admin, signal, url } = await away()
    const { served } = await inRedis({ storage: url, algorithm, deadlineMs: 50 })
    await served('1/day', 1, 'another')
    expect(await admin.ping()).toBe('PONG')
    signal()
    let all = 0
    for (const count of [10, 9, 5, 1, 10]) all += await served({ count, windowMs: 3_600_000 }, 12)
    expect(all).toBe(10)
  },
)

/** A server that the test can stop. */
async function away() {
  const own = await serverForTest()
  return { admin: own.admin, url: own.url, signal: () => own.signal('SIGKILL') }
}
