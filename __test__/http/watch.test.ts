import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { RateLimitExceeded } from 'ratethrottle'
import rateThrottle from 'ratethrottle/fastify'
import { expect, it } from 'vitest'

/** All parts of Fastify that may observe an error, and how each is added. */
const WATCHERS: Record<string, (saw: (error: unknown) => void) => Promise<FastifyInstance>> = {
  'an onError hook': async (saw) => {
    const app = await limited()
    app.addHook('onError', async (_, __, error) => saw(error))
    return routed(app)
  },
  'an onError hook from before the plugin': async (saw) => {
    const app = Fastify()
    app.addHook('onError', async (_, __, error) => saw(error))
    await app.register(rateThrottle, { limits: '1/hour' })
    return routed(app)
  },
  "a route's onError": async (saw) =>
    routed(await limited(), {
      onError: async (_: unknown, __: unknown, error: unknown) => saw(error),
    }),
  "a route's error handler": async (saw) => {
    const errorHandler = (error: unknown, _: unknown, reply: { send(body: unknown): void }) => {
      saw(error)
      reply.send(error)
    }
    return routed(await limited(), { errorHandler })
  },
  'an error handler of a scope within': async (saw) => {
    const app = await limited()
    await app.register(async (child) => {
      child.setErrorHandler((error, _, reply) => {
        saw(error)
        return reply.send(error)
      })
      routed(child)
    })
    return app
  },
  'a log': async (saw) => {
    const write = (line: string) => {
      const { err } = JSON.parse(line)
      if (err !== undefined) saw(Object.assign(Object.create(RateLimitExceeded.prototype), err))
    }
    return routed(await limited({ logger: { level: 'info', stream: { write } } }))
  },
}

async function limited(options: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(options)
  await app.register(rateThrottle, { limits: '1/hour' })
  return app
}

function routed<App extends FastifyInstance>(app: App, options: object = {}): App {
  app.get('/', options, () => 'ok')
  return app
}

it.each(Object.keys(WATCHERS))('%s receives the error of a denial', async (name) => {
  const seen: unknown[] = []
  const app = await (WATCHERS[name] as (typeof WATCHERS)[string])((error) => seen.push(error))
  expect((await app.inject('/')).statusCode).toBe(200)
  const denied = await app.inject('/')
  expect(denied.statusCode).toBe(429)
  expect(seen).toHaveLength(1)
  expect(seen[0]).toBeInstanceOf(RateLimitExceeded)
  await app.close()
})

it('without observers the answer is the one that Fastify gives to the error', async () => {
  const answer = async (app: FastifyInstance) => {
    await app.inject('/')
    const { statusCode, headers, body } = await app.inject('/')
    await app.close()
    const { date: _, 'x-ratelimit-reset': __, ...same } = headers
    return { statusCode, headers: same, body }
  }
  const watched = await limited()
  watched.addHook('onError', async () => {})
  expect(await answer(routed(await limited()))).toEqual(await answer(routed(watched)))
})
