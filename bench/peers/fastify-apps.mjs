import fastify from 'fastify'
import { importOurs } from '../tree.mjs'
import {
  ADMITTED_HEADERS,
  HELLO,
  JSON_TYPE,
  REFUSAL,
  REFUSED_HEADERS,
  WRITTEN_REFUSAL,
} from './http-answers.mjs'

const PLUGINS = {
  plain: () => {},
  bare: () => {},
  ratethrottle: async (app, limit) => {
    const { default: rateThrottle } = await importOurs('ratethrottle/fastify')
    await app.register(rateThrottle, { limits: limit.text })
  },
  'ratethrottle.insight': async (app, limit) => {
    const { default: rateThrottle } = await importOurs('ratethrottle/fastify')
    const { insight } = await importOurs('ratethrottle/insight')
    await app.register(rateThrottle, { limits: limit.text, insight: insight({ keys: 'plain' }) })
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

/** The cheapest ways that were found to send by hand what a limiter sends. */
const BY_HAND = {
  plain: { deny: (_, reply) => reply.code(429).send(REFUSAL) },
  bare: {
    async admit(_, reply) {
      reply.headers(ADMITTED_HEADERS)
      return HELLO
    },
    deny(_, reply) {
      reply.code(429).headers(REFUSED_HEADERS).type(JSON_TYPE).send(WRITTEN_REFUSAL.body)
    },
  },
}

/** One route behind one limiter, headers as each sends them by default. Answers the listening server. */
export async function startFastify({ subject, limit, refuses, host }) {
  const app = fastify()
  await PLUGINS[subject](app, limit)
  const byHand = BY_HAND[subject]?.[refuses ? 'deny' : 'admit']
  app.get('/', byHand ?? (async () => HELLO))
  await app.listen({ host, port: 0 })
  return app.server
}
