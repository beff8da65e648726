import { RateLimitExceeded } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { limiterForTest, sleep, untilExact } from './faults.ts'
import { serverForTest } from './server.ts'

const PATIENT = { deadlineMs: 10_000 }

describe('wait', () => {
  it('admits waiters one after another, first come, first served, at the rate of the limit', async () => {
    const server = await serverForTest()
    const options = { url: server.url, algorithm: 'leaky-bucket', ...PATIENT } as const
    const limiter = limiterForTest('1/50ms', options)
    await untilExact(limiter)
    const start = performance.now()
    const served: number[] = []
    const waits = [0, 1, 2, 3].map((n) => limiter.wait('k').then(() => served.push(n)))
    await Promise.all(waits)
    expect(served).toEqual([0, 1, 2, 3])
    expect(performance.now() - start).toBeGreaterThanOrEqual(149)
  })

  it('rejects when aborted, when it would take too long, or when the limiter is closed', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1/minute', { url: server.url, ...PATIENT })
    await limiter.check('k')
    const tooLong = limiter.wait('k', { maxWaitMs: 100 })
    await expect(tooLong).rejects.toThrow(RateLimitExceeded)
    await expect(limiter.wait('k', { cost: 2 })).rejects.toThrow(RateLimitExceeded)
    const abort = new AbortController()
    const aborted = limiter.wait('k', { signal: abort.signal })
    const behind = limiter.wait('k')
    await sleep(50)
    abort.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await limiter.close()
    await expect(behind).rejects.toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })
})
