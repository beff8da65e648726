// A server of one kind that makes a limiter in one way; prints how often the warning came.
import { once } from 'node:events'
import { createServer, get } from 'node:http'

const [kind, way, count] = process.argv.slice(2)
let warned = 0
process.on('warning', ({ code }) => {
  if (code === 'RATETHROTTLE_MADE_PER_REQUEST') warned++
})
const pass = () => new Promise((resolve) => setImmediate(resolve))
const perRequest = way !== 'at start'
const isLater = way === 'later in a request'
const isUsedLater = way === 'at once, used later'

const SERVERS = {
  async fastify() {
    const app = (await import('fastify')).default()
    await app.register((await import('ratethrottle/fastify')).default, { limits: '100000/hour' })
    const shared = perRequest ? undefined : app.rateThrottle('1/minute')
    const handler = async (request, reply) => {
      if (isLater) await pass()
      const hook = shared ?? app.rateThrottle('1/minute')
      if (isUsedLater) await pass()
      await new Promise((done) => hook(request, reply, done))
      return 'ok'
    }
    app.get('/', handler)
    for (let i = 0; i < 300; i++)
      app.get(
        `/r${i}`,
        { config: { rateLimit: '1/minute' }, preHandler: app.rateThrottle('1/minute') },
        handler,
      )
    await app.listen({ host: '127.0.0.1', port: 0 })
    return app.server
  },
  async express() {
    const express = (await import('express')).default
    const { rateThrottle } = await import('ratethrottle/express')
    const app = express()
    const limiter = rateThrottle({ limits: '100000/hour' })
    app.use(limiter)
    const shared = perRequest ? undefined : limiter.limit('1/minute')
    app.get('/', async (request, response, next) => {
      if (isLater) await pass()
      const middleware = shared ?? limiter.limit('1/minute')
      if (isUsedLater) await pass()
      middleware(request, response, () => response.end('ok'))
      if (next === undefined) return
    })
    for (let i = 0; i < 300; i++)
      app.get(`/r${i}`, limiter.limit('1/minute'), (_, response) => response.end())
    return app.listen(0, '127.0.0.1')
  },
  async http() {
    const { rateThrottle } = await import('ratethrottle/http')
    const make = () => rateThrottle({ limits: '1/minute' })
    const shared = perRequest ? undefined : make()
    for (let i = 0; i < 300; i++) make()
    const listener = async (request, response) => {
      if (isLater) await pass()
      const limiter = shared ?? make()
      if (isUsedLater) await pass()
      if (await limiter.admit(request, response)) response.end('ok')
    }
    return createServer(listener).listen(0, '127.0.0.1')
  },
  async hono() {
    const { Hono } = await import('hono')
    const { serve } = await import('@hono/node-server')
    const { rateThrottle } = await import('ratethrottle/hono')
    const make = () => rateThrottle({ limits: '1/minute' })
    const shared = perRequest ? undefined : make()
    const app = new Hono()
    app.get('/', async (c) => {
      if (isLater) await pass()
      const middleware = shared ?? make()
      if (isUsedLater) await pass()
      await middleware(c, async () => {})
      return c.text('ok')
    })
    return serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
  },
}

const server = await SERVERS[kind]()
if (!server.listening) await once(server, 'listening')
const { port } = server.address()
let admitted = 0
for (let i = 0; i < Number(count); i++) {
  const call = get({ host: '127.0.0.1', port, agent: false })
  const [response] = await once(call, 'response')
  response.resume()
  await once(response, 'end')
  if (response.statusCode === 200) admitted++
}
await pass()
console.log(JSON.stringify({ warned, admitted }))
process.exit(0)
