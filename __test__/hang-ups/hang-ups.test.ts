import { getEventListeners } from 'node:events'
import { ConcurrencyLimiter, createConcurrencyLimiter } from 'ratethrottle'
import { expect, onTestFinished, test, vi } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { serverForTest } from '../redis/server.ts'
import { CALLS } from './calls.ts'
import { GRAPHQL } from './graphql.ts'
import { HTTP } from './http.ts'
import { SOCKETS } from './sockets.ts'
import { proveHangUps } from './storm.ts'

proveHangUps([...HTTP, ...GRAPHQL, ...SOCKETS, ...CALLS])

const COUNT = byLength(100, 1_000)
const ENDS = ['waits', 'leaves', 'is served'] as const

test.each(['memory:', 'Redis'])(
  'a signal that callers share has no listener more when they have left or were served, in %s',
  async (tier) => {
    const storage = tier === 'Redis' ? (await serverForTest()).url : tier
    const more = tier === 'Redis' ? { deadlineMs: 30_000 } : {}
    const limiter = createConcurrencyLimiter({ perKey: 2, queue: COUNT, storage, ...more })
    onTestFinished(() => limiter.close())
    const shared = new AbortController()
    const on = (): number => getEventListeners(shared.signal, 'abort').length
    const inside = [await limiter.acquire('k'), await limiter.acquire('k')]
    const served: Promise<unknown>[] = []
    for (let i = 0; i < COUNT; i++) {
      const end = ENDS[i % ENDS.length]
      const own = new AbortController()
      const signal = end === 'leaves' ? AbortSignal.any([shared.signal, own.signal]) : shared.signal
      const maxWaitMs = end === 'waits' ? 1 : 60_000
      const asked = limiter.acquire('k', { signal, maxWaitMs }).then((permit) => permit.release())
      served.push(asked.catch((error) => error))
      if (end === 'leaves') setTimeout(() => own.abort(new Error('left')), i % 7)
    }
    const staying = ENDS.indexOf('is served')
    const stay = Array.from({ length: COUNT }, (_, i) => i % ENDS.length).filter(
      (end) => end === staying,
    ).length
    await vi.waitFor(() => expect(limiter.stats().waiting).toBe(stay), { timeout: 60_000 })
    // One listener for all that wait.
    expect(on()).toBeLessThanOrEqual(1)
    for (const permit of inside) permit.release()
    const outcomes = await Promise.all(served)
    const thrown = outcomes.filter((one) => one instanceof Error)
    expect(thrown.length).toBe(COUNT - stay)
    expect([on(), limiter.stats().held, limiter.stats().waiting]).toEqual([0, 0, 0])
  },
)

test('callers that leave before they are asked for hold nothing, and leave no listener', async () => {
  const limiter = new ConcurrencyLimiter(1, { queue: 5 })
  const { signal } = new AbortController()
  const gone = AbortSignal.abort(new Error('left'))
  for (let i = 0; i < COUNT; i++) {
    await expect(limiter.acquire('k', { signal: gone })).rejects.toThrow('left')
    using _ = await limiter.acquire('k', { signal })
  }
  expect(getEventListeners(signal, 'abort').length).toBe(0)
  expect(getEventListeners(gone, 'abort').length).toBe(0)
  expect(limiter.stats()).toMatchObject({ held: 0, waiting: 0, admitted: COUNT })
  limiter.close()
})
