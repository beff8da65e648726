import { setTimeout as pause } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { type Connected, connect, KINDS, type Kind, type Served, serve } from './serve.ts'

/** Opens a call and leaves it open. */
function opened({ ask }: Connected, kind: Kind, more: object = {}) {
  let cancel = (): void => {}
  const ended = ask(kind, {
    messages: ['hold'],
    began: (call) => {
      cancel = () => call.cancel()
      // A stream of the client stays open.
      if (kind === 'upload' || kind === 'chat') Object.assign(call, { end: () => call })
    },
    ...more,
  })
  return { ended, cancel }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 12_000; i++) {
    if (await what()) return
    await pause(5)
  }
  throw new Error('it never was')
}

// D62: RateThrottle gives the permit back as soon as the stream object is made.
test.each(KINDS)('%s: a permit is held until the call ends', async (kind) => {
  const served = await serve({ concurrent: 1 })
  const client = connect(served.port)
  const first = opened(client, kind)
  await until(() => served.seen.runs === 1)
  for (const other of KINDS) {
    const { code, metadata } = await client.ask(other)
    expect(code).toBe(status.RESOURCE_EXHAUSTED)
    expect(metadata.get('retry-after')).toEqual(['1'])
  }
  expect(served.seen.runs).toBe(1)
  first.cancel()
  expect((await first.ended).code).toBe(status.CANCELLED)
  await until(async () => (await client.ask('unary')).code === status.OK)
})

const NORMAL = ['a', 'fail'] as const

test.each(KINDS.flatMap((kind) => NORMAL.map((message) => [kind, message] as const)))(
  '%s: the permit of a call that ends by itself is free for the next one (%s)',
  async (kind, message) => {
    const { port } = await serve({ concurrent: 1 })
    const { ask } = connect(port)
    for (let i = 0; i < 20; i++) {
      const { code } = await ask(kind, { messages: [message] })
      expect([status.OK, status.NOT_FOUND]).toContain(code)
    }
  },
)

test.each(KINDS)('%s: the permit of a call past its deadline comes free', async (kind) => {
  const served = await serve({ concurrent: 1 })
  const client = connect(served.port)
  const { ended } = opened(client, kind, { deadlineMs: 60 })
  expect((await ended).code).toBe(status.DEADLINE_EXCEEDED)
  await until(async () => (await client.ask('unary')).code === status.OK)
})

test.each(KINDS)('%s: the permit of a lost connection comes free', async (kind) => {
  const served = await serve({ concurrent: 1, key: () => 'all' })
  const [lost, other] = [connect(served.port), connect(served.port)]
  const { ended } = opened(lost, kind)
  await until(() => served.seen.runs === 1)
  lost.client.close()
  // Closing a client waits for its calls: this cuts the connection.
  for (const session of sessionsOf(served)) session.destroy()
  expect([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL]).toContain((await ended).code)
  await until(async () => (await other.ask('unary')).code === status.OK)
})

function sessionsOf({ server }: Served): readonly { destroy(): void }[] {
  const { sessions } = server as unknown as { sessions: Map<{ destroy(): void }, unknown> }
  return [...sessions.keys()]
}

test.each(KINDS)(
  '%s: when the server shuts down by force, a waiting call never runs',
  async (kind) => {
    const served = await serve({ concurrent: { perKey: 1, queue: 5 } as never })
    const client = connect(served.port)
    const calls = [opened(client, kind), opened(client, kind)]
    await until(() => served.seen.runs === 1)
    served.server.forceShutdown()
    const ended = await Promise.all(calls.map(({ ended }) => ended))
    for (const { code } of ended) expect(code).not.toBe(status.OK)
    await pause(20)
    expect(served.seen.runs).toBe(1)
  },
)
