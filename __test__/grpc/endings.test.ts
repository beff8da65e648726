import { setTimeout as pause } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { serverForTest } from '../redis/server.ts'
import { rawClient } from './raw.ts'
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

async function until(what: () => boolean | Promise<boolean>, turns = 12_000): Promise<void> {
  for (let i = 0; i < turns; i++) {
    if (await what()) return
    await pause(5)
  }
  throw new Error('it never was')
}

/** Whether exactly so many calls of this client can be open at a time. */
async function has(served: Served, client: Connected, most: number): Promise<boolean> {
  const before = served.seen.runs
  const calls = Array.from({ length: most }, () => opened(client, 'download'))
  const early = Promise.race(calls.map(({ ended }) => ended)).then(() => true)
  // One that was cancelled before may run only now, so they may be more.
  const inside = until(() => served.seen.runs >= before + most, 1_000).then(
    () => false,
    () => true,
  )
  const isOne = !(await Promise.race([early, inside]))
  const further = isOne ? (await client.ask('download')).code : undefined
  for (const { cancel } of calls) cancel()
  await Promise.all(calls.map(({ ended }) => ended))
  await inside
  return further === status.RESOURCE_EXHAUSTED
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

test('1,000 hang-ups before, during and after leave no permit, no timer, and earn no unit', async () => {
  // More than arrive: on a slow machine all of them are charged before they hang up.
  const served = await serve({ limits: '1100/day', concurrent: { perKey: 500, total: 500 } })
  const client = connect(served.port)
  const raw = rawClient(served.port)
  await client.ask('unary')
  const before = timers()
  let arrived = 0
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 100 }, (_, i) => {
      const kind = KINDS[i % 4] as Kind
      if (i % 3 === 0) return raw.hangUp(kind)
      const call = opened(client, kind, { deadlineMs: 60_000 })
      // While it is being decided about, or while its handler runs.
      setTimeout(call.cancel, i % 3 === 1 ? (i % 10) / 2 : 30)
      return call.ended.then(({ code }) => expect(code).toBe(status.CANCELLED))
    })
    await Promise.all(calls)
    arrived += calls.length
  }
  expect(arrived).toBe(1_000)
  await until(() => timers() <= before)
  // Each that ran was charged, and none gave a unit back. One unit comes back in 86 seconds.
  const { runs } = served.seen
  expect(await leftOf(client)).toBeLessThanOrEqual(1_100 - runs + 1)
  expect(served.seen.cancelled).toBeGreaterThan(100)
})

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

/** How many more calls are admitted. */
async function leftOf({ ask }: Connected): Promise<number> {
  for (let i = 0; ; i++) {
    const { code } = await ask('unary')
    if (code === status.RESOURCE_EXHAUSTED) return i
    expect(code).toBe(status.OK)
  }
}

test.each(['memory', 'redis'])(
  'after hang-ups as many calls can be open as before, in %s',
  async (tier) => {
    const storage = tier === 'redis' ? (await serverForTest()).url : 'memory:'
    // A busy machine is not to make Redis count as away.
    const deadlineMs = tier === 'redis' ? { deadlineMs: 10_000 } : {}
    const served = await serve({ concurrent: 5, limits: '100000/hour', storage, ...deadlineMs })
    const client = connect(served.port)
    const raw = rawClient(served.port)
    await until(() => has(served, client, 5))
    for (let i = 0; i < 200; i++) {
      const kind = KINDS[i % 4] as Kind
      await raw.hangUp(kind)
      const call = opened(client, kind)
      await pause(0)
      call.cancel()
      await call.ended
    }
    await until(() => has(served, client, 5))
  },
)
