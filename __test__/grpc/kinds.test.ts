import { status } from '@grpc/grpc-js'
import { FakeClock } from 'ratethrottle/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Server, startServer } from '../redis/server.ts'
import { freshName } from '../shared/place.ts'
import { retryMs } from './retry.ts'
import { connect, KINDS, serve } from './serve.ts'

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

const TIERS = ['memory', 'shared', 'redis'] as const
function storageOf(tier: (typeof TIERS)[number]): object {
  if (tier === 'redis')
    return { storage: redis.url, deadlineMs: 30_000, connectTimeoutMs: 60_000, name: freshName() }
  return tier === 'shared' ? { storage: `shared:${freshName()}` } : {}
}

const codes = (ended: readonly { readonly code: number }[]) => ({
  ok: ended.filter(({ code }) => code === status.OK).length,
  refused: ended.filter(({ code }) => code === status.RESOURCE_EXHAUSTED).length,
})

describe.each(TIERS)('in %s', (tier) => {
  // D60: in RateThrottle three of the four kinds fail with UNKNOWN. D64: it counts in memory alone.
  test.each(KINDS)('%s: exactly 20 of 200 parallel calls reach the handler', async (kind) => {
    const { port, seen } = await serve({ limits: '20/hour', ...storageOf(tier) })
    const clients = [connect(port), connect(port)]
    const calls = Array.from({ length: 200 }, (_, i) =>
      clients[i % 2]?.ask(kind, { messages: ['a', 'b'] }),
    )
    const ended = (await Promise.all(calls)).filter((one) => one !== undefined)
    expect(codes(ended)).toEqual({ ok: 20, refused: 180 })
    expect(seen.runs).toBe(20)
    expect(ended.find(({ code }) => code === status.OK)?.answers).toEqual(
      { unary: ['a'], upload: ['2'], download: ['0', '1', '2'], chat: ['a', 'b'] }[kind],
    )
  })
})

test.each(KINDS)('%s: a client that obeys RetryInfo is admitted', async (kind) => {
  const clock = new FakeClock()
  const { port, seen } = await serve({ limits: '1 per 100ms', clock })
  const { ask } = connect(port)
  expect((await ask(kind)).code).toBe(status.OK)
  for (let i = 0; i < 3; i++) {
    const { code, metadata } = await ask(kind)
    expect(code).toBe(status.RESOURCE_EXHAUSTED)
    clock.advance(retryMs(metadata))
    expect((await ask(kind)).code).toBe(status.OK)
  }
  expect(seen.runs).toBe(4)
})
