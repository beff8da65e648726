import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock } from 'ratethrottle'
import type { RedisLimiter } from 'ratethrottle/redis'
import { describe, expect, it } from 'vitest'
import { admits, failures, limiterForTest, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'

const PATIENT = { deadlineMs: 60_000 }

describe('remembered denials', () => {
  it('a key that is denied until T sends nothing to Redis until T, and is admitted at T', async () => {
    const server = await serverForTest()
    const clock = new FakeClock(1_000_000)
    const limiter = limiterForTest('2/minute', { url: server.url, clock, ...PATIENT })
    await limiter.check('k', 2)
    const denied = await limiter.check('k')
    expect(denied.retryAfterMs).toBe(30_000)
    const { asked } = limiter.stats()
    for (let second = 0; second < 29; second++) {
      clock.advance(1_000)
      const { retryAfterMs, resetMs } = await limiter.check('k')
      expect([retryAfterMs, resetMs]).toEqual([29_000 - 1_000 * second, 59_000 - 1_000 * second])
      expect(await admits(limiter, 'k')).toBe(false)
    }
    expect(limiter.stats()).toMatchObject({ asked, deniedLocally: 58 })
    clock.advance(999)
    expect(await admits(limiter, 'k')).toBe(false)
    clock.advance(1)
    expect(await admits(limiter, 'k')).toBe(true)
  })

  it('a refund or reset by this process is seen at once; localDenials turns remembering off or bounds it', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1/minute', { url: server.url, ...PATIENT })
    for (const forgive of [() => limiter.refund('k'), () => limiter.reset('k')]) {
      await limiter.check('k')
      expect(await admits(limiter, 'k')).toBe(false)
      expect(await admits(limiter, 'k')).toBe(false)
      await forgive()
      expect(await admits(limiter, 'k')).toBe(true)
    }
    const off = limiterForTest('1/minute', { url: server.url, localDenials: false, ...PATIENT })
    const { asked } = off.stats()
    for (let i = 0; i < 5; i++) expect(await admits(off, 'k')).toBe(false)
    expect(off.stats()).toMatchObject({ asked: asked + 5, deniedLocally: 0 })
    const brief = limiterForTest('1/minute', { url: server.url, localDenials: '50ms', ...PATIENT })
    for (let i = 0; i < 5; i++) expect(await admits(brief, 'k')).toBe(false)
    await limiter.reset('k')
    await sleep(60)
    expect(await admits(brief, 'k')).toBe(true)
  })

  it('of 20,000 denied keys the latest 10,000 are remembered', async () => {
    const server = await serverForTest()
    // A denial is remembered for half a minute: a slow machine may take longer.
    const clock = new FakeClock(1_800_057_600_000)
    const limiter = limiterForTest('1/hour', { url: server.url, clock, ...PATIENT })
    await limiter.ready()
    const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}`)
    // Not all at once: a busy machine takes seconds to send them, and the connection counts as gone meanwhile.
    const askAll = async (from = 0): Promise<void> => {
      for (let i = from; i < keys.length; i += 1_000)
        await Promise.all(keys.slice(i, i + 1_000).map((key) => admits(limiter, key)))
    }
    await askAll()
    await askAll()
    expect(failures(limiter)).toBe(0)
    const { asked } = limiter.stats()
    await askAll(10_000)
    expect(limiter.stats()).toMatchObject({ asked, deniedLocally: 10_000 })
  })
})

describe('leases', () => {
  it('most calls send nothing to Redis, and all processes together admit exactly the limit', async () => {
    const server = await serverForTest()
    const options = { url: server.url, algorithm: 'fixed-window', ...PATIENT } as const
    const lease = { size: 100, ttl: 5_000 }
    // Two connections, as two processes would have.
    const limiters = ['0', '00'].map((db) =>
      limiterForTest('5000/hour', {
        ...options,
        url: `redis://127.0.0.1:${server.port}/${db}`,
        lease,
      }),
    )
    let admitted = 0
    const work = async (limiter: RedisLimiter<string>): Promise<void> => {
      for (let i = 0; i < 250; i++) if (await admits(limiter, 'k')) admitted++
    }
    await Promise.all(
      limiters.flatMap((limiter) => Array.from({ length: 16 }, () => work(limiter))),
    )
    await Promise.all(limiters.map((limiter) => limiter.close()))
    // 8,000 calls for 5,000 units: each process has returned the units that it held in the end.
    const rest = limiterForTest('5000/hour', options)
    const { remaining } = await rest.peek('k')
    expect(admitted + remaining).toBe(5_000)
    expect(remaining).toBeLessThan(200)
    const asked = limiters.reduce((sum, limiter) => sum + limiter.stats().asked, 0)
    expect(asked).toBeLessThan(admitted / 10)
  })

  it('unused units are returned when the lease ends', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1000/hour', {
      url: server.url,
      algorithm: 'fixed-window',
      lease: { size: 50, ttl: 100 },
      ...PATIENT,
    })
    const other = limiterForTest('1000/hour', {
      url: server.url,
      algorithm: 'fixed-window',
      ...PATIENT,
    })
    for (let i = 0; i < 120; i++) await limiter.check('k')
    const remaining = async () => (await other.peek('k')).remaining
    await expect.poll(remaining, { timeout: 60_000 }).toBe(880)
  })

  it('near the limit a lease takes the units that are left, and denials have the right wait', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('10/hour', {
      url: server.url,
      algorithm: 'fixed-window',
      lease: { size: 100 },
      ...PATIENT,
    })
    await untilExact(limiter)
    const answers = await Promise.all(Array.from({ length: 30 }, () => limiter.check('k')))
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(10)
    const denied = await limiter.check('k')
    expect(denied.remaining).toBe(0)
    expect(denied.retryAfterMs).toBeGreaterThan(3_590_000)
    expect((await limiter.check('k', 11)).retryAfterMs).toBe(Number.POSITIVE_INFINITY)
  })
})
