import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { GraphQLModule, Query, Resolver, Subscription } from '@nestjs/graphql'
import { createClient } from 'graphql-ws'
import { RateThrottleModule } from 'ratethrottle/nest'
import { afterEach, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { closeAll, decorate, start } from './apps.ts'
import { until } from './sockets.ts'

afterEach(closeAll)

/** Events until it is left. */
async function* ticks() {
  for (let i = 0; ; i++) {
    yield { tick: i }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

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
  const { url } = await start('express', { imports, providers: [TickResolver] })
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
