import { rateThrottle } from 'ratethrottle/http'
import { expect, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { planned } from './plans.ts'
import { listen } from './serve.ts'

const ALGORITHMS = [
  'token-bucket',
  'leaky-bucket',
  'sliding-window',
  'sliding-log',
  'fixed-window',
] as const

/** The most of a limit of 10 that any window may admit, see docs/concepts/guarantees.md. */
const BOUNDS = {
  'token-bucket': 19,
  'leaky-bucket': 19,
  'sliding-window': 19,
  'sliding-log': 10,
  'fixed-window': 20,
}

test.each(ALGORITHMS)(
  '%s: limits that alternate between 10 and 1 never admit more than the limit of 10',
  async (algorithm) => {
    const { clock, ask } = await planned({ algorithm })
    const admitted: number[] = []
    for (let ms = 0; ms < 120_000; ms += 250) {
      const { status } = await ask(`${10 - ((ms / 250) % 10)}/minute`)
      if (status === 200) admitted.push(ms)
      const inWindow = admitted.filter((time) => ms < time + 60_000)
      expect(inWindow.length).toBeLessThanOrEqual(BOUNDS[algorithm])
      clock.advance(250)
    }
    // They admit as much as the larger limit alone would.
    expect(admitted.length).toBeGreaterThanOrEqual(10)
  },
)

test.each(ALGORITHMS)(
  '%s: every count from 1 to 10 in turn within a minute serves no more than the limit of 10',
  async (algorithm) => {
    const { clock, served } = await planned({ algorithm })
    let all = 0
    for (let count = 10; count >= 1; count--) {
      all += await served({ count, windowMs: 60_000 }, 12)
      clock.advance(10)
    }
    expect(all).toBe(10)
  },
)

test.each(['token-bucket', 'leaky-bucket'])(
  '%s: half of 10 a minute used leaves half a unit of 1 a minute',
  async (algorithm) => {
    const { clock, ask, served } = await planned({ algorithm })
    expect(await served('10/minute', 5)).toBe(5)
    expect(await ask('1/minute')).toMatchObject({ status: 429, retryAfter: 30 })
    clock.advance(29_999)
    expect((await ask('1/minute')).status).toBe(429)
    clock.advance(1)
    expect((await ask('1/minute')).status).toBe(200)
    // A minute is owed now, whatever the limit: of 10 a minute the last unit.
    expect(await ask('10/minute')).toMatchObject({ status: 429, retryAfter: 6 })
  },
)

test.each(['sliding-window', 'sliding-log', 'fixed-window'])(
  '%s: used units stay used when the limit rises or falls',
  async (algorithm) => {
    const { clock, ask, served } = await planned({ algorithm })
    // The beginning of a window that is aligned to the clock's zero.
    clock.advance(120_000 - (clock.now() % 60_000))
    expect(await served('10/minute', 5)).toBe(5)
    expect((await ask('5/minute')).status).toBe(429)
    expect((await ask('1/minute')).status).toBe(429)
    expect(await ask('7/minute')).toMatchObject({ status: 200, remaining: 1 })
    expect(await served('12/minute', 20)).toBe(6)
    clock.advance(120_000)
    expect(await served('3/minute', 5)).toBe(3)
  },
)

test.each(ALGORITHMS)('%s: a change of the window frees no used unit', async (algorithm) => {
  const { clock, ask, served } = await planned({ algorithm })
  clock.advance(7_200_000 - (clock.now() % 3_600_000))
  expect(await served('10/hour', 20)).toBe(10)
  expect((await ask('10/minute')).status).toBe(429)
  expect((await ask('10/hour')).status).toBe(429)
  expect((await ask(['10/second', '10/hour'])).status).toBe(429)
  expect((await ask('10/hour')).status).toBe(429)
})

test.each(ALGORITHMS)(
  '%s: a change from several limits to fewer and back frees no used unit',
  async (algorithm) => {
    const { clock, ask, served } = await planned({ algorithm })
    clock.advance(7_200_000 - (clock.now() % 3_600_000))
    expect(await served(['10/minute', '15/hour'], 12)).toBe(10)
    expect((await ask('10/minute')).status).toBe(429)
    clock.advance(60_000)
    expect(await served(['100/minute', '15/hour'], 20)).toBe(5)
    expect((await ask('15/hour')).status).toBe(429)
  },
)

test('any number of plans works: the 257th and the last are limited as the first', async () => {
  const { served } = await planned()
  const seen = new Set<number>()
  for (let plan = 1; plan <= byLength(1_000, 3_000); plan++) {
    const limits = { count: 1 + (plan % 3), windowMs: 60_000 + plan }
    const count = await served(limits, 4, `tenant ${plan}`)
    seen.add(count - limits.count)
  }
  expect([...seen]).toEqual([0])
})

test.each(['sliding-window', 'sliding-log', 'fixed-window'])(
  '%s: windows beyond the number of tables are counted in longer windows, with one warning',
  async (algorithm) => {
    const warnings: string[] = []
    const listen = (warning: Error & { code?: string }) => void warnings.push(warning.code ?? '')
    process.on('warning', listen)
    const { served } = await planned({ algorithm })
    const seen = new Set<number>()
    for (let plan = 1; plan <= 300; plan++) {
      const limits = { count: 2, windowMs: 60_000 + 1_000 * plan }
      seen.add(await served(limits, 4, `tenant ${plan}`))
    }
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect([...seen]).toEqual([2])
    expect(warnings.filter((code) => code === 'RATETHROTTLE_MANY_WINDOWS')).toHaveLength(1)
  },
)

test('a limits object is read again at each request', async () => {
  const { ask, served } = await planned()
  const plan = { count: 10, windowMs: 60_000 }
  expect(await served(plan, 5)).toBe(5)
  plan.count = 1
  expect(await ask(plan)).toMatchObject({ status: 429, limit: 1 })
})

test('an invalid result of a limits function is a 500, and the next request works', async () => {
  const { ask } = await planned()
  for (const wrong of [undefined, null, 7, '10 a fortnight', [], { count: 0, windowMs: 1 }]) {
    expect((await ask(wrong)).status).toBe(500)
  }
  expect(await ask('2/minute')).toMatchObject({ status: 200, remaining: 1 })
  expect((await ask(false)).status).toBe(200)
  expect(await ask('2/minute')).toMatchObject({ status: 200, remaining: 0 })
  expect((await ask('1/minute')).status).toBe(429)
})

test('a block outlives a change of limits, and its steps grow across changes', async () => {
  const { clock, ask } = await planned({ blockFor: ['1 minute', '1 hour'] })
  expect((await ask('1/second')).status).toBe(200)
  expect(await ask('1/second')).toMatchObject({ status: 429, retryAfter: 60 })
  expect(await ask('1000/second')).toMatchObject({ status: 429, retryAfter: 60 })
  clock.advance(60_001)
  expect((await ask('1/minute')).status).toBe(200)
  expect(await ask('2/hour')).toMatchObject({ status: 200 })
  expect(await ask('1/minute')).toMatchObject({ status: 429, retryAfter: 3600 })
})

test('reset clears a key under all limits that it had', async () => {
  let limits = '1/minute'
  const limiter = rateThrottle({ limits: () => limits, key: () => 'one' })
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
  expect(await status()).toBe(200)
})
