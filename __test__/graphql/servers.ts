import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { GraphQLSchema } from 'graphql'
import type { GraphQLPlugin } from 'ratethrottle/graphql'

export type Yoga = ((request: IncomingMessage, response: ServerResponse) => void) & {
  dispose(): Promise<void>
  fetch(url: string, init: object): Promise<Response>
}

interface YogaModule {
  createSchema(options: object): GraphQLSchema
  createYoga(options: object): Yoga
}

/**
 * Its types are those of browsers, which are others for the same globals: the guide's programs are compiled with them.
 * As all servers it is loaded by those tests that start it: they take most of a second.
 */
function yogaModule(): YogaModule {
  return createRequire(join(process.cwd(), 'package.json'))('graphql-yoga') as YogaModule
}

/** What resolvers have done, and what they are to do. */
export interface Service {
  /** Calls of each root field. */
  readonly runs: Map<string, number>
  /** What `slow` waits for. */
  gate: Promise<unknown>
  /** What `slow` does in place of that, for one that says who asks. */
  run?(id: string): Promise<string> | string
}

export const TYPE_DEFS = /* GraphQL */ `
  directive @cost(weight: String!) on FIELD_DEFINITION | ARGUMENT_DEFINITION | OBJECT | SCALAR | ENUM | INPUT_FIELD_DEFINITION
  directive @listSize(
    assumedSize: Int
    slicingArguments: [String!]
    sizedFields: [String!]
    requireOneSlicingArgument: Boolean
  ) on FIELD_DEFINITION
  interface Named { name: String }
  type User implements Named { id: ID! name: String friends(first: Int): [User] broken: String! }
  type Robot implements Named { name: String serial: Int parts: [Named] }
  type Query {
    hello: String
    dear: String @cost(weight: "20")
    users(first: Int): [User]
    named(count: Int): [Named] @listSize(assumedSize: 50)
    slow(id: String): String
    fails: [User!]
    crash: User
  }
  type Mutation { change: Int }
  type Subscription { ticks(count: Int): Int }
`

function usersOf(count: number): object[] {
  return Array.from({ length: count }, (_, i) => ({
    __typename: 'User',
    id: String(i),
    name: `user ${i}`,
    friends: () => usersOf(Math.min(2, count)),
    broken: () => {
      throw new Error('broken')
    },
  }))
}

interface Arguments {
  readonly first?: number
  readonly count?: number
  readonly id?: string
}

export function resolversOf(service: Service): object {
  const counted =
    <T>(name: string, resolve: (args: Arguments) => T) =>
    (_: unknown, args: Arguments): T => {
      service.runs.set(name, (service.runs.get(name) ?? 0) + 1)
      return resolve(args)
    }
  return {
    Query: {
      hello: counted('hello', () => 'world'),
      dear: counted('dear', () => 'gold'),
      users: counted('users', ({ first }) => usersOf(Math.min(first ?? 3, 3))),
      named: counted('named', ({ count }) => [
        ...usersOf(count ?? 2),
        { __typename: 'Robot', name: 'r', serial: 1, parts: [] },
      ]),
      slow: counted('slow', ({ id }) =>
        id === undefined ? service.gate.then(() => 'done') : service.run?.(id),
      ),
      fails: counted('fails', () => usersOf(3)),
      crash: counted('crash', () => usersOf(1)[0]),
    },
    Mutation: { change: counted('change', () => 1) },
    Named: { __resolveType: (value: { __typename: string }) => value.__typename },
    Subscription: {
      ticks: {
        subscribe: async function* (_: unknown, { count = 3 }: { count?: number }) {
          service.runs.set('ticks', (service.runs.get('ticks') ?? 0) + 1)
          for (let i = 0; i < count; i++) yield { ticks: i }
        },
      },
    },
  }
}

/** Has `slow` wait until it is opened. */
export function closeGate(service: Service): () => void {
  let open: () => void = () => {}
  service.gate = new Promise<void>((resolve) => {
    open = resolve
  })
  return open
}

/** A Yoga of its own, for what needs no server. */
export function yogaWith(
  limits: GraphQLPlugin,
  service: Service = newService(),
  others: readonly object[] = [],
): Yoga {
  const schema = schemaOf(service)
  return yogaModule().createYoga({
    schema,
    plugins: [limits, ...others],
    logging: false,
    batching: { limit: 100 },
  })
}

/** A server that listens. */
export interface Running {
  readonly server: Server
  readonly url: string
  readonly service: Service
  close(): Promise<void>
}

export type Start = (limits: GraphQLPlugin, service?: Service) => Promise<Running>

export function newService(): Service {
  return { runs: new Map(), gate: Promise.resolve() }
}

async function listening(
  server: Server,
  service: Service,
  close: () => Promise<void>,
): Promise<Running> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/graphql`
  return {
    server,
    url,
    service,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await close()
    },
  }
}

export function schemaOf(service: Service): GraphQLSchema {
  return yogaModule().createSchema({ typeDefs: TYPE_DEFS, resolvers: resolversOf(service) })
}

const startYoga: Start = async (limits, service = newService()) => {
  const yoga = yogaWith(limits, service)
  return listening(createServer(yoga), service, async () => {
    await yoga.dispose()
    limits.close()
  })
}

const startApollo: Start = async (limits, service = newService()) => {
  const { ApolloServer } = await import('@apollo/server')
  const { expressMiddleware } = await import('@as-integrations/express5')
  const { default: express } = await import('express')
  const apollo = new ApolloServer({
    schema: schemaOf(service),
    plugins: [limits],
    allowBatchedHttpRequests: true,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  })
  await apollo.start()
  const app = express()
  const context = async ({ req, res }: { req: unknown; res: unknown }) => ({ req, res })
  app.use(
    '/graphql',
    express.json({ limit: '10mb' }),
    expressMiddleware(apollo, { context }) as never,
  )
  return listening(createServer(app), service, () => apollo.stop())
}

const startMercurius: Start = async (limits, service = newService()) => {
  const { default: fastify } = await import('fastify')
  const { default: mercurius } = await import('mercurius')
  const app = fastify()
  await app.register(mercurius, {
    schema: TYPE_DEFS.replace('Subscription', 'Ignored').replace(/type Ignored[^}]*\}/, ''),
    resolvers: mercuriusResolvers(service),
    allowBatchedQueries: true,
  })
  await app.register(limits.mercurius)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    server: app.server,
    url: `http://127.0.0.1:${port}/graphql`,
    service,
    close: async () => {
      app.server.closeAllConnections()
      await app.close()
    },
  }
}

function mercuriusResolvers(service: Service): never {
  const { Query, Mutation } = resolversOf(service) as { Query: object; Mutation: object }
  const resolveType = (value: { __typename: string }): string => value.__typename
  return { Query, Mutation, Named: { resolveType } } as never
}

export const SERVERS: readonly (readonly [string, Start])[] = [
  ['yoga', startYoga],
  ['apollo', startApollo],
  ['mercurius', startMercurius],
]

interface Extensions {
  readonly code?: unknown
  readonly retryAfter?: unknown
  readonly [name: string]: unknown
}

/** What a server answers. */
export interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: {
    readonly data?: { readonly hello?: string; readonly [name: string]: unknown } | null
    readonly errors?: readonly {
      readonly message: string
      readonly extensions?: Extensions
    }[]
  }
}

export async function ask(
  url: string,
  query: string | object | readonly object[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  const body = typeof query === 'string' ? { query } : query
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: JSON.parse(text) as Answer['body'],
  }
}

/** What the first error of an answer says. */
export function extensionsOf({ body }: Pick<Answer, 'body'>): Extensions {
  return body.errors?.[0]?.extensions ?? {}
}

export function codeOf(answer: Pick<Answer, 'body'>): unknown {
  return extensionsOf(answer).code
}

/** Whether an answer is that of `{ hello }`. */
export function isServed({ body }: Answer): boolean {
  return body.data?.hello === 'world'
}
