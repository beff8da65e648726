import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { GraphQLModule, Mutation, Query, Resolver } from '@nestjs/graphql'
import { Limit, RateThrottleModule } from 'ratethrottle/nest'
import { afterEach, expect, it } from 'vitest'
import { closeAll, decorate, start } from './apps.ts'

afterEach(closeAll)

// biome-ignore lint/suspicious/noExplicitAny: what a server says
type Answer = any

const typeDefs =
  'type Query { cheap(fieldName: String, operation: String): String dear: String } type Mutation { act: String }'

async function startGraphQL(options: object, more: object = {}) {
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
    ...more,
  })
  const imports = [RateThrottleModule.forRoot(options), graphql]
  const { url } = await start('express', { imports, providers: [CatsResolver] })
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

it('200 operations at once: as many are served as the limit admits', async () => {
  const { ask, runs } = await startGraphQL({ limits: '20/hour' })
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask('{ cheap }')))
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
  const { ask, runs } = await startGraphQL({ limits: '2/hour' })
  expect((await ask(aliases('cheap', 50))).body.errors).toBeUndefined()
  expect((await ask(aliases('cheap', 50))).body.errors).toBeUndefined()
  expect((await ask(aliases('cheap', 50))).body.errors).toHaveLength(50)
  expect(runs.cheap).toBe(100)
})

it('arguments that are called as what a resolver is told do not hide the client', async () => {
  const { ask, runs } = await startGraphQL({ limits: '2/hour', missingKey: 'deny' })
  const query =
    '{ a: cheap(fieldName: "x", operation: "y") b: cheap(fieldName: "x", operation: "y") }'
  for (let i = 0; i < 4; i++) await ask(query)
  expect(runs.cheap).toBe(4)
})

it('each operation of a batch is charged', async () => {
  const { ask, runs } = await startGraphQL({ limits: '3/hour' })
  const { body } = await ask(Array.from({ length: 10 }, () => '{ cheap }'))
  expect(body.filter((one: { errors?: object }) => one.errors === undefined)).toHaveLength(3)
  expect(runs.cheap).toBe(3)
})

it('a resolver that is refused gives back nothing of those that have run', async () => {
  const { ask, runs } = await startGraphQL({ limits: '5/hour' })
  const query = '{ cheap dear }'
  for (let i = 0; i < 8; i++) await ask(query)
  // Twice dear admits, then cheap is charged all the same.
  expect(runs).toEqual({ cheap: 5, dear: 2, act: 0 })
})

it('an operation that is refused altogether is charged nothing', async () => {
  const { ask, runs } = await startGraphQL({ limits: '5/hour' })
  for (let i = 0; i < 8; i++) await ask(aliases('dear', 20))
  for (let i = 0; i < 8; i++) await ask('{ cheap }')
  expect(runs).toEqual({ dear: 40, cheap: 3, act: 0 })
})

it('mutations run one after the other, and are charged once together', async () => {
  const { ask, runs } = await startGraphQL({ limits: '1/hour' })
  await ask(`mutation ${aliases('act', 20)}`)
  await ask(`mutation ${aliases('act', 20)}`)
  expect(runs.act).toBe(20)
})
