import { once } from 'node:events'
import type { Server } from 'node:http'
import { Controller, Get, Query } from '@nestjs/common'
import { RateThrottleModule } from 'ratethrottle/nest'
import { closeAll, decorate, PLATFORMS, type Platform, start } from '../adapters/nest/apps.ts'
import { build, type Framework } from '../http/frameworks.ts'
import { ask, over } from './over.ts'
import type { Protocol } from './storm.ts'

const FRAMEWORKS: readonly Framework[] = [
  ...(['node:http', 'Express 5', 'Fastify 5', 'Koa 3', 'Hono', 'web'] as const),
]

const idOf = (url = ''): string => new URL(url, 'http://x').searchParams.get('id') ?? ''

function byFramework(framework: Framework): Protocol {
  return {
    name: framework,
    start: async ({ messages: _, ...options }, work) => {
      const built = await build(framework, {
        options,
        routes: [],
        fallback: async ({ url }) => ({ body: await work.run(idOf(url)) }),
      })
      const { server } = built
      if (built.listen !== undefined) await built.listen({ host: '127.0.0.1', port: 0 })
      else await once(server.listen(0, '127.0.0.1'), 'listening')
      return over(
        server,
        (id) => ask(`/?id=${id}`),
        () => built.close(),
      )
    },
  }
}

function byNest(platform: Platform): Protocol {
  return {
    name: `Nest on ${platform}`,
    start: async ({ messages: _, ...options }, work) => {
      class WorkController {
        work(id: string): unknown {
          return work.run(id)
        }
      }
      decorate(WorkController, {
        parameters: { work: [Query('id')] },
        methods: { work: [Get()] },
        class: [Controller()],
      })
      const imports = [RateThrottleModule.forRoot(options)]
      const { app } = await start(platform, { imports, controllers: [WorkController] })
      return over(app.getHttpServer() as Server, (id) => ask(`/?id=${id}`), closeAll)
    },
  }
}

export const HTTP: readonly Protocol[] = [...FRAMEWORKS.map(byFramework), ...PLATFORMS.map(byNest)]
