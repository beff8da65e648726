import fastify from 'fastify'
import { ADMIT, DENY } from '../limits.mjs'

const HELLO = { hello: 'world' }

/** What a limiter's refusal looks like, answered by hand: the denied bare server says as much. */
const REFUSAL = {
  statusCode: 429,
  error: 'Too Many Requests',
  message: 'Rate limit exceeded, retry in 1 day',
}

const PLUGINS = {
  bare: async () => {},
  ratethrottle: async (app, limit) => {
    const { default: rateThrottle } = await import('ratethrottle/fastify')
    await app.register(rateThrottle, { limits: limit.text })
  },
  '@fastify/rate-limit': async (app, { count, windowMs }) => {
    const { default: rateLimit } = await import('@fastify/rate-limit')
    await app.register(rateLimit, { max: count, timeWindow: windowMs })
  },
}

/** One route behind one limiter, headers as each plugin sends them by default. */
export async function createApp(subject, outcome) {
  const app = fastify()
  await PLUGINS[subject](app, outcome === 'admit' ? ADMIT : DENY)
  if (subject === 'bare' && outcome === 'deny')
    app.get('/', (_, reply) => reply.code(429).send(REFUSAL))
  else app.get('/', async () => HELLO)
  return app
}
