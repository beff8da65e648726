import type { Server } from 'node:http'
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { Args, GraphQLModule, Query, Resolver } from '@nestjs/graphql'
import { plugin } from 'ratethrottle/graphql'
import { RateThrottleModule } from 'ratethrottle/nest'
import { closeAll, decorate, PLATFORMS, type Platform, start } from '../adapters/nest/apps.ts'
import { newService, SERVERS, type Start } from '../graphql/servers.ts'
import type { Script } from './clients.ts'
import { ask, over } from './over.ts'
import type { Protocol } from './storm.ts'

const query = (id: string): Script => ask('/graphql', { query: `{ slow(id: "${id}") }` })

function byServer(name: string, startServer: Start): Protocol {
  return {
    name,
    start: async ({ messages: _, ...options }, work) => {
      const service = { ...newService(), run: (id: string) => work.run(id) }
      const { server, close } = await startServer(plugin(options), service)
      return over(server, query, close)
    },
  }
}

function byNest(platform: Platform): Protocol {
  return {
    name: `Nest with Apollo on ${platform}`,
    start: async ({ messages: _, ...options }, work) => {
      class WorkResolver {
        slow(id: string): unknown {
          return work.run(id)
        }
      }
      decorate(WorkResolver, {
        parameters: { slow: [Args('id')] },
        methods: { slow: [Query('slow')] },
        class: [Resolver()],
      })
      const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        typeDefs: 'type Query { slow(id: String): String }',
        graphiql: false,
      })
      const imports = [RateThrottleModule.forRoot(options), graphql]
      const { app } = await start(platform, { imports, providers: [WorkResolver] })
      return over(app.getHttpServer() as Server, query, closeAll)
    },
  }
}

export const GRAPHQL: readonly Protocol[] = [
  ...SERVERS.map((of) => byServer(...of)),
  ...PLATFORMS.map(byNest),
]
