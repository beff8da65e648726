import fastify from 'fastify'
import { importOurs } from '../tree.mjs'
import { HELLO, REFUSAL } from './http-answers.mjs'

const PLUGINS = {
  bare: () => {},
  ratethrottle: async (app, limit) => {
    const { default: rateThrottle } = await importOurs('ratethrottle/fastify')
    await app.register(rateThrottle, { limits: limit.text })
  },
  '@fastify/rate-limit': async (app, { count, windowMs }) => {
    const { default: rateLimit } = await import('@fastify/rate-limit')
    await app.register(rateLimit, { max: count, timeWindow: windowMs })
  },
  'rate-limiter-flexible': async (app, limit) => {
    app.addHook('onRequest', (await import('./http-flexible.mjs')).createHook(limit))
  },
  map: async (app, limit) => {
    app.addHook('onRequest', (await import('./http-map.mjs')).createHook(limit))
  },
}

/** One route behind one limiter, headers as each sends them by default. Answers the listening server. */
export async function startFastify({ subject, limit, refuses, host }) {
  const app = fastify()
  await PLUGINS[subject](app, limit)
  if (refuses) app.get('/', (_, reply) => reply.code(429).send(REFUSAL))
  else app.get('/', async () => HELLO)
  await app.listen({ host, port: 0 })
  return app.server
}
