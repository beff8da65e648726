import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Server, startServer } from '../redis/server.ts'
import { freshName } from '../shared/place.ts'
import { retryMs } from './retry.ts'
import { connect, serve } from './serve.ts'

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

const STREAMS = ['upload', 'chat'] as const
const TIERS = ['memory', 'redis'] as const
const storageOf = (tier: (typeof TIERS)[number]) =>
  tier === 'redis'
    ? { storage: redis.url, name: freshName(), deadlineMs: 30_000, connectTimeoutMs: 60_000 }
    : {}

const texts = (count: number) => Array.from({ length: count }, (_, i) => String(i))

describe.each(TIERS)('in %s', (tier) => {
  test.each(STREAMS)(
    '%s: a message over the limit ends the call, and is not handed on',
    async (kind) => {
      const { port, seen } = await serve({ messages: '5/hour', concurrent: 1, ...storageOf(tier) })
      const { ask } = connect(port)
      const ended = await ask(kind, { messages: texts(20) })
      expect(ended.code).toBe(status.RESOURCE_EXHAUSTED)
      expect(retryMs(ended.metadata)).toBeGreaterThan(0)
      expect(seen).toMatchObject({ runs: 1, messages: texts(5), cancelled: 1 })
      // What a client has used is used, also in its next call; and the permit is free.
      expect((await ask(kind, { messages: ['x'] })).code).toBe(status.RESOURCE_EXHAUSTED)
      expect(seen.messages).toHaveLength(5)
      expect((await ask('unary')).code).toBe(status.OK)
    },
  )

  test.each(STREAMS)(
    '%s: pause hands on each message in its time, in order, and loses none',
    async (kind) => {
      const limits = { messages: '10 per 100ms', overflow: 'pause', ...storageOf(tier) } as const
      const { port, seen } = await serve({ ...limits, algorithm: 'token-bucket' })
      const { ask } = connect(port)
      const ended = await ask(kind, { messages: texts(30) })
      expect(ended.code).toBe(status.OK)
      expect(seen.messages).toEqual(texts(30))
      expect(ended.answers).toEqual(kind === 'upload' ? ['30'] : texts(30))
    },
  )
})

test('pause: a client that sends more than is read is slowed down by the connection itself', async () => {
  const { port, seen } = await serve({ messages: '1/hour', overflow: 'pause' })
  const { client } = connect(port)
  const serialize = (value: Buffer) => value
  const path = '/test.Echo/Chat'
  const call = client.makeBidiStreamRequest(path, serialize, serialize)
  call.on('error', () => {})
  const message = Buffer.alloc(16_384, 'x')
  let flushed = 0
  for (let i = 0; i < 200; i++) call.write(message, () => flushed++)
  while (seen.messages.length === 0) await new Promise(setImmediate)
  // Time enough for what must not come.
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(seen.messages).toHaveLength(1)
  // Three megabytes wait at the client: the window of a stream has 64 KB.
  expect(flushed).toBeLessThan(100)
  call.cancel()
})

test('pause: a client that leaves, or is past its deadline, waits no more and is charged nothing', async () => {
  const { port, seen } = await serve({
    messages: '2 per 500ms',
    overflow: 'pause',
    key: () => 'all',
    maxWaitersPerKey: 3,
    concurrent: 10,
  })
  const { ask } = connect(port)
  const ended = await Promise.all(
    [1, 2, 3].map(() => ask('upload', { messages: texts(30), deadlineMs: 60 })),
  )
  expect(ended.map(({ code }) => code)).toEqual([4, 4, 4])
  expect(seen.messages.length).toBeLessThan(10)
  // They have left the line, which has room for three.
  expect((await ask('upload', { messages: texts(4) })).code).toBe(status.OK)
})

test('as many wait as may: the next message ends its call', async () => {
  const { port } = await serve({
    messages: '1/hour',
    overflow: 'pause',
    key: () => 'all',
    maxWaitersPerKey: 2,
  })
  const { ask } = connect(port)
  const codes: number[] = []
  const leave: (() => void)[] = []
  const calls = [1, 2, 3, 4].map(async () => {
    const began = (call: { cancel(): void }): unknown => leave.push(() => call.cancel())
    codes.push((await ask('upload', { messages: texts(3), began })).code)
  })
  await expect.poll(() => codes).toEqual([8, 8])
  for (const one of leave) one()
  await Promise.all(calls)
  expect(codes).toEqual([8, 8, 1, 1])
})

test('a method has its own messages, and what becomes of them; other kinds of call have none', async () => {
  const { port, seen } = await serve({
    messages: '2/hour',
    methods: { '/test.Echo/Chat': { messages: '4 per 100ms', overflow: 'pause' } },
  })
  const { ask } = connect(port)
  expect((await ask('chat', { messages: texts(6) })).answers).toEqual(texts(6))
  expect((await ask('upload', { messages: texts(6) })).code).toBe(status.RESOURCE_EXHAUSTED)
  for (let i = 0; i < 5; i++) {
    expect((await ask('unary')).code).toBe(status.OK)
    expect((await ask('download')).code).toBe(status.OK)
  }
  expect(seen.messages).toHaveLength(8)
})

test('a dry run hands on all messages, and reports those over the limit', async () => {
  const denied: boolean[] = []
  const onDeny = ({ dryRun }: { dryRun: boolean }) => denied.push(dryRun)
  const { port } = await serve({ messages: '2/hour', dryRun: true, overflow: 'pause', onDeny })
  const { code, answers } = await connect(port).ask('chat', { messages: texts(5) })
  expect([code, answers]).toEqual([status.OK, texts(5)])
  expect(denied).toEqual([true, true, true])
})
