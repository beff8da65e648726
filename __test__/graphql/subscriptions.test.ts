import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fastify from 'fastify'
import mercurius from 'mercurius'
import { RateLimiter } from 'ratethrottle'
import { plugin } from 'ratethrottle/graphql'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'

interface Message {
  readonly id?: string
  readonly type: string
  readonly payload?: { readonly data?: object; readonly errors?: object[] } | { message: string }[]
}

/** A client of mercurius' subscriptions. */
class Client {
  readonly received: Message[] = []
  readonly #socket: WebSocket

  constructor(url: string) {
    this.#socket = new WebSocket(url, 'graphql-transport-ws')
    this.#socket.on('message', (data) => this.received.push(JSON.parse(String(data)) as Message))
  }

  async open(): Promise<void> {
    await once(this.#socket, 'open')
    this.send({ type: 'connection_init' })
    await expect.poll(() => this.received.some(({ type }) => type === 'connection_ack')).toBe(true)
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message))
  }

  subscribe(id: string, query: string): void {
    this.send({ id, type: 'subscribe', payload: { query } })
  }

  /** What came for an operation: `next`, `error` or nothing. */
  of(id: string): string[] {
    return this.received
      .filter((one) => one.id === id)
      .map((one) => `${one.type} ${JSON.stringify(one.payload)}`)
  }

  terminate(): void {
    this.#socket.terminate()
  }
}

it('subscriptions of mercurius hold permits until they end, or their connection does', async () => {
  const limiter = new RateLimiter(
    { count: 1_000, windowMs: 3_600_000 },
    { algorithm: 'fixed-window' },
  )
  const limits = plugin({ storage: limiter, key: () => 'all', concurrent: 2, maxDepth: 2 })
  const app = fastify()
  let started = 0
  await app.register(mercurius, {
    schema:
      'type Query { hello: String } type Subscription { ticks: Tick } type Tick { n: Int, t: Tick }',
    subscription: { fullWsTransport: true },
    resolvers: {
      Query: { hello: () => 'world' },
      Subscription: {
        ticks: {
          subscribe: async (_root, _args, { pubsub }) => {
            started++
            return pubsub.subscribe('ticks')
          },
        },
      },
    },
  })
  await app.register(limits.mercurius)
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  const url = `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/graphql`
  for (let round = 0; round < 3; round++) {
    const client = new Client(url)
    await client.open()
    client.subscribe('a', 'subscription { ticks { n } }')
    client.subscribe('b', 'subscription { ticks { n } }')
    await expect.poll(() => started).toBe(round * 3 + 2)
    client.subscribe('c', 'subscription { ticks { n } }')
    await expect.poll(() => client.of('c').join()).toContain('Too many requests at a time')
    expect(started).toBe(round * 3 + 2)
    // The first, not the last: its permit is free.
    client.send({ id: 'a', type: 'complete' })
    let tried = 0
    while (started < round * 3 + 3) {
      client.subscribe(`e${tried++}`, 'subscription { ticks { n } }')
      await pause(20)
    }
    client.subscribe('f', 'subscription { ticks { t { n } } }')
    await expect.poll(() => client.of('f').join()).toContain('3 levels deep')
    client.terminate()
    // Both permits are free again, also for what is no subscription.
    const other = new Client(url)
    await other.open()
    while (!other.of('q').join().includes('world')) {
      other.subscribe('q', '{ hello }')
      await pause(20)
    }
    other.terminate()
    await pause(50)
  }
  expect(limiter.peek('all').remaining).toBeLessThanOrEqual(1_000 - 9 * 2)
})

it('subscriptions of mercurius that end by themselves, or never begin, give their permits back', async () => {
  const started: string[] = []
  const limits = plugin({ limits: '1000/hour', key: () => 'all', concurrent: 1 })
  const app = fastify({ logger: false })
  const source = async function* (by: string): AsyncIterable<object> {
    yield { ticks: 1 }
    if (by === 'failing') throw new Error('the source failed')
  }
  const subscribe = (by: string): AsyncIterable<object> | Promise<AsyncIterable<object>> => {
    started.push(by)
    if (by === 'throwing') throw new Error('no source')
    if (by === 'rejecting') return Promise.reject(new Error('no source'))
    return by === 'later' ? Promise.resolve(source(by)) : source(by)
  }
  await app.register(mercurius, {
    schema: 'type Query { a: Int } type Subscription { ticks(by: String!): Int bare: Int }',
    subscription: true,
    resolvers: {
      Subscription: {
        ticks: { subscribe: (_root: unknown, { by }: { by: string }) => subscribe(by) },
      },
    } as never,
  })
  await app.register(limits.mercurius)
  // A second one, as another team may have it.
  await app.register(plugin({ limits: '1000/hour', key: () => 'all', concurrent: 1 }).mercurius)
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  const client = new Client(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/graphql`)
  onTestFinished(() => client.terminate())
  await client.open()
  const ways = ['ending', 'failing', 'throwing', 'rejecting', 'later']
  for (const [i, by] of [...ways, ...ways].entries()) {
    const id = `${i}`
    client.subscribe(id, `subscription { ticks(by: "${by}") }`)
    await expect
      .poll(() => client.received.some((one) => one.id === id && one.type !== 'next'))
      .toBe(true)
    // Neither has a resolver that is called.
    client.subscribe(`${id} no argument`, 'subscription ($by: String!) { ticks(by: $by) }')
    await expect.poll(() => client.of(`${id} no argument`).join()).toContain('$by')
    client.subscribe(`${id} bare`, 'subscription { bare }')
    await expect.poll(() => client.of(`${id} bare`).join()).toContain('Async Iterable')
  }
  expect(started).toEqual([...ways, ...ways])
})
