import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { Controller } from '@nestjs/common'
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql'
import { MessagePattern } from '@nestjs/microservices'
import { WsAdapter } from '@nestjs/platform-ws'
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import { Limit, RateThrottleModule } from 'ratethrottle/nest'
import { afterEach, expect, it } from 'vitest'
import { byLength } from '../../fixtures/long.ts'
import { serverForTest } from '../../redis/server.ts'
import { closeAll, decorate, PLATFORMS, type Platform, start } from './apps.ts'
import { closeServices, connectTo, later, portOf, TCP } from './services.ts'
import { connect, until } from './sockets.ts'

afterEach(closeServices)

type Kind = 'gateway' | 'graphql' | 'rpc'
const KINDS: readonly Kind[] = ['gateway', 'graphql', 'rpc']

/** What is asked of a handler of each kind: whether it admitted the call. */
type Ask = (name: 'count' | 'hold') => Promise<boolean>

/** The handlers of all kinds, which count their runs, and hold until the test lets them go. */
class Work {
  readonly runs: Record<Kind, number> = { gateway: 0, graphql: 0, rpc: 0 }
  readonly inside: Record<Kind, number> = { gateway: 0, graphql: 0, rpc: 0 }
  readonly #held: (() => void)[] = []

  letGo(): void {
    for (const go of this.#held.splice(0)) go()
  }

  /** One class for each kind. */
  makeHost(kind: Kind) {
    const { runs, inside } = this
    const held = this.#held
    return class Host {
      count(): unknown {
        runs[kind]++
        return kind === 'gateway' ? { event: 'said' } : 'counted'
      }
      async hold(): Promise<unknown> {
        inside[kind]++
        await new Promise<void>((resolve) => held.push(resolve))
        inside[kind]--
        return kind === 'gateway' ? { event: 'said' } : 'held'
      }
    }
  }
}

const MARKS = { gateway: SubscribeMessage, graphql: Query, rpc: MessagePattern } as const
const CLASSES = { gateway: WebSocketGateway(), graphql: Resolver(), rpc: Controller() } as const

function makeHosts(work: Work) {
  return KINDS.map((kind) => {
    const Mark = MARKS[kind] as (name: string) => MethodDecorator
    return decorate(work.makeHost(kind), {
      methods: {
        count: [Limit('20/hour', { name: `${kind}-count` }), Mark('count')],
        hold: [Limit({ concurrent: 3, name: `${kind}-hold` }), Mark('hold')],
      },
      class: [CLASSES[kind]],
    })
  }) as [never, never, never]
}

async function startAll(platform: Platform, work: Work, storage: string) {
  const [Gateway, Queries, Messages] = makeHosts(work)
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    typeDefs: 'type Query { count: String hold: String }',
    graphiql: false,
  })
  const options = storage.startsWith('redis')
    ? { deadlineMs: 10_000, connectTimeoutMs: 10_000 }
    : {}
  const imports = [RateThrottleModule.forRoot({ storage, ...options }), graphql]
  const { app, url } = await start(platform, {
    imports,
    controllers: [Messages],
    providers: [Gateway, Queries],
    prepare: (made) => made.useWebSocketAdapter(new WsAdapter(made)),
  })
  later(closeAll)
  const service = app.connectMicroservice(TCP)
  await app.startAllMicroservices()
  const rpc = connectTo(portOf(service))
  const asks: Record<Kind, Ask> = {
    gateway: await askGateway(url),
    graphql: async (name) => {
      const headers = { 'content-type': 'application/json' }
      // Resolvers of one operation are asked at the same time, and charged once.
      const query = name === 'count' ? '{ count again: count }' : '{ hold }'
      const body = JSON.stringify({ query })
      const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body })
      return !(await answer.text()).includes('RATE_LIMITED')
    },
    rpc: (name) =>
      rpc.ask(name).then(
        () => true,
        () => false,
      ),
  }
  return asks
}

/** Answers have no number of the message they answer: the first is that of any. */
async function askGateway(url: string): Promise<Ask> {
  const { got, send, close } = await connect('ws', url)
  later(close)
  let asked = 0
  return async (name) => {
    const mine = asked++
    send(name, 0)
    await until(() => got.length > mine)
    return got[mine]?.event === 'said'
  }
}

const STORAGES: Record<string, () => Promise<string>> = {
  shared: async () => `shared:nest-kinds-${process.pid}`,
  Redis: async () => (await serverForTest()).url,
}

it.each(Object.keys(STORAGES))(
  'gateways, GraphQL and microservices of two applications share limits and permits: %s',
  async (name) => {
    const storage = (await STORAGES[name]?.()) ?? ''
    const work = new Work()
    const apps = []
    for (const platform of PLATFORMS) apps.push(await startAll(platform, work, storage))
    for (const kind of KINDS) {
      const all = apps.flatMap((asks) =>
        Array.from({ length: byLength(25, 100) }, () => asks[kind]('count')),
      )
      const admitted = (await Promise.all(all)).filter((isAdmitted) => isAdmitted)
      const runs = kind === 'graphql' ? 40 : 20
      expect([kind, admitted.length, work.runs[kind]]).toEqual([kind, 20, runs])
    }
    for (const kind of KINDS) {
      let refused = 0
      const asked: Promise<unknown>[] = []
      const ask = (asks: Record<Kind, Ask>): void => {
        const one = asks[kind]('hold')
        asked.push(one.then((isAdmitted) => (isAdmitted ? 0 : refused++)))
      }
      for (const asks of apps) for (let i = 0; i < 10; i++) ask(asks)
      await until(() => refused === 17)
      expect([kind, work.inside[kind]]).toEqual([kind, 3])
      work.letGo()
      await Promise.all(asked.splice(0))
      // All permits come back, and no more than there are.
      for (let i = 0; work.inside[kind] < 3 && i < 500; i++) {
        for (const asks of apps) ask(asks)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      expect([kind, work.inside[kind]]).toEqual([kind, 3])
      // Those that were on their way enter when these have left.
      let isOver = false
      void Promise.all(asked).then(() => {
        isOver = true
      })
      await until(() => {
        work.letGo()
        return isOver
      })
    }
  },
)
