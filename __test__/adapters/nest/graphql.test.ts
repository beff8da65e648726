import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { GraphQLModule, Mutation, Query, Resolver, Subscription } from '@nestjs/graphql'
import { createClient } from 'graphql-ws'

import { Limit, RateThrottleModule } from 'ratethrottle/nest'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { byLength } from '../../fixtures/long.ts'
import { closeAll, decorate, PLATFORMS, type Platform, start } from './apps.ts'
import { until } from './sockets.ts'

afterEach(closeAll)

// biome-ignore lint/suspicious/noExplicitAny: what a server says
type Answer = any

const typeDefs =
  'type Query { cheap(fieldName: String, operation: String): String dear: String } type Mutation { act: String }'

async function startGraphQL(platform: Platform, options: object) {
  const runs = { cheap: 0, dear: 0, act: 0 }
  class CatsResolver {
    cheap(): string {
      runs.cheap++
      return 'cheap'
    }
    dear(): string {
      runs.dear++
      return 'dear'
    }
    act(): string {
      runs.act++
      return 'done'
    }
  }
  decorate(CatsResolver, {
    methods: {
      cheap: [Query('cheap')],
      dear: [Limit('2/hour'), Query('dear')],
      act: [Mutation('act')],
    },
    class: [Resolver()],
  })
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    typeDefs,
    graphiql: false,
    allowBatchedHttpRequests: true,
  })
  const imports = [RateThrottleModule.forRoot(options), graphql]
  const { url } = await start(platform, { imports, providers: [CatsResolver] })
  const ask = async (query: string | string[]) => {
    const body = Array.isArray(query) ? query.map((one) => ({ query: one })) : { query }
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Answer,
    }
  }
  return { runs, ask, url }
}

const aliases = (field: string, count: number): string =>
  `{ ${Array.from({ length: count }, (_, i) => `${field}${i}: ${field}`).join(' ')} }`

const CALLERS = byLength(50, 200)

/** Events until it is left. */
async function* ticks() {
  for (let i = 0; ; i++) {
    yield { tick: i }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe.each(PLATFORMS)('%s', (platform) => {
  it(`${CALLERS} operations at once: as many are served as the limit admits`, async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '20/hour' })
    const answers = await Promise.all(Array.from({ length: CALLERS }, () => ask('{ cheap }')))
    const served = answers.filter(({ body }) => body.data.cheap === 'cheap')
    expect(served).toHaveLength(20)
    expect(runs.cheap).toBe(20)
    const refused = answers.find(({ body }) => body.errors !== undefined)
    expect(refused?.body.errors[0]).toMatchObject({
      message: expect.stringContaining('retry in'),
      path: ['cheap'],
      extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) },
    })
    expect(refused?.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(refused?.status).toBe(200)
  })

  it('an operation with 50 resolvers is charged once', async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '2/hour' })
    expect((await ask(aliases('cheap', 50))).body.errors).toBeUndefined()
    expect((await ask(aliases('cheap', 50))).body.errors).toBeUndefined()
    expect((await ask(aliases('cheap', 50))).body.errors).toHaveLength(50)
    expect(runs.cheap).toBe(100)
  })

  it('arguments that are called as what a resolver is told do not hide the client', async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '2/hour', missingKey: 'deny' })
    const query =
      '{ a: cheap(fieldName: "x", operation: "y") b: cheap(fieldName: "x", operation: "y") }'
    for (let i = 0; i < 4; i++) await ask(query)
    expect(runs.cheap).toBe(4)
  })

  it('each operation of a batch is charged', async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '3/hour' })
    const { body } = await ask(Array.from({ length: 10 }, () => '{ cheap }'))
    expect(body.filter((one: { errors?: object }) => one.errors === undefined)).toHaveLength(3)
    expect(runs.cheap).toBe(3)
  })

  it('a resolver that is refused gives back nothing of those that have run', async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '5/hour' })
    const query = '{ cheap dear }'
    for (let i = 0; i < 8; i++) await ask(query)
    // Twice dear admits, then cheap is charged all the same.
    expect(runs).toEqual({ cheap: 5, dear: 2, act: 0 })
  })

  it('an operation that is refused altogether is charged nothing', async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '5/hour' })
    for (let i = 0; i < 8; i++) await ask(aliases('dear', 20))
    for (let i = 0; i < 8; i++) await ask('{ cheap }')
    expect(runs).toEqual({ dear: 40, cheap: 3, act: 0 })
  })

  it('mutations run one after the other, and are charged once together', async () => {
    const { ask, runs } = await startGraphQL(platform, { limits: '1/hour' })
    await ask(`mutation ${aliases('act', 20)}`)
    await ask(`mutation ${aliases('act', 20)}`)
    expect(runs.act).toBe(20)
  })

  it('a subscription over a socket is charged once, for the client that opened it, and holds its permit', async () => {
    class TickResolver {
      hello(): string {
        return 'hello'
      }
      tick(): AsyncGenerator {
        return ticks()
      }
    }
    decorate(TickResolver, {
      methods: { hello: [Query('hello')], tick: [Subscription('tick')] },
      class: [Resolver()],
    })
    const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      typeDefs: 'type Query { hello: String } type Subscription { tick: Int }',
      graphiql: false,
      subscriptions: { 'graphql-ws': true },
    })
    const options = { limits: '4/hour', concurrent: 2, trust: ['127.0.0.1'] }
    const imports = [RateThrottleModule.forRoot(options), graphql]
    const { url } = await start(platform, { imports, providers: [TickResolver] })
    class ForwardedSocket extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols, { headers: { 'x-forwarded-for': '192.0.2.1' } })
      }
    }
    const client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: ForwardedSocket,
      retryAttempts: 0,
    })
    const subscribe = () => {
      const got: unknown[] = []
      const leave = client.subscribe(
        { query: 'subscription { tick }' },
        { next: (one) => got.push(one), error: (error) => got.push(error), complete: () => {} },
      )
      return { got, leave }
    }
    const first = subscribe()
    const second = subscribe()
    await until(() => first.got.length > 3 && second.got.length > 3)
    const third = subscribe()
    await until(() => third.got.length > 0)
    expect(JSON.stringify(third.got)).toContain('RATE_LIMITED')
    first.leave()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const fourth = subscribe()
    await until(() => fourth.got.length > 3)
    expect(JSON.stringify(fourth.got)).not.toContain('RATE_LIMITED')
    await client.dispose()
  })
})
