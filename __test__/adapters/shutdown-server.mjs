// A server with requests in flight that is shut down: node shutdown-server.mjs ADAPTER MODE [REDIS URL]
//
// Tells its parent its port, and when all requests have come. On SIGTERM, and on a message "close", it does what the framework's own guide says: app.close()
// or server.close(), and close() of the limiter. It never calls process.exit.
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import express from 'express'
import Fastify from 'fastify'
import { createLimiter, RateLimiter } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'

const [, , adapter, mode, url] = process.argv
const WORK_MS = 1_000
const REQUESTS = 6
const scope = `shutdown ${process.pid}`
const MODES = {
  plain: { limits: '1000/minute' },
  slowDown: { limits: '2/minute', slowDown: '1 minute' },
  countWhen: { limits: '2/minute', countWhen: 'failure' },
  shared: { limits: '1000/minute', storage: 'shared:shutdown', scope },
  redis: { limits: '1000/minute', storage: url, scope },
  'redis slowDown': { limits: '2/minute', slowDown: '1 minute', storage: url, scope },
  'redis countWhen': { limits: '2/minute', countWhen: 'failure', storage: url, scope },
  leases: { limits: '1000/minute', storage: url, scope, lease: { size: 10 } },
  wait: { limits: '1000/minute' },
  'redis wait': { limits: '1000/minute', storage: url, scope },
}
const options = { ...MODES[mode], key: () => 'client' }
const waiting = mode.endsWith('wait')
const own = waiting
  ? url === undefined
    ? new RateLimiter('1/hour')
    : createLimiter({ limits: '1/hour', storage: url, name: scope })
  : undefined

/** What every handler does: works a while, or waits for another limiter. */
async function work() {
  if (own === undefined) return pause(WORK_MS, [200, 'done'])
  return own.wait('client', { maxWaitMs: 3_600_000 }).then(
    () => [200, 'done'],
    (error) => [503, error.code],
  )
}

let received = 0
/** Tells the parent once all requests are in flight. */
function watch(server) {
  server.on('request', () => {
    received++
    if (received === REQUESTS) setTimeout(() => process.send({ received }), 50)
  })
}

const START = {
  async fastify() {
    const app = Fastify({ forceCloseConnections: 'idle' })
    await app.register(forFastify, options)
    app.get('/', async (_, reply) => {
      const [status, body] = await work()
      return reply.code(status).send(body)
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    watch(app.server)
    return [app.server.address().port, () => app.close()]
  },
  async express() {
    const app = express()
    const limiter = forExpress(options)
    app.use(limiter)
    app.get('/', async (_, response) => {
      const [status, body] = await work()
      response.status(status).send(body)
    })
    return listen(app, limiter)
  },
  async http() {
    const limiter = forHttp(options)
    const answer = async (_, response) => {
      const [status, body] = await work()
      response.writeHead(status).end(body)
    }
    return listen(limiter.wrap(answer), limiter)
  },
}

async function listen(listener, limiter) {
  const server = createServer(listener)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  watch(server)
  const close = () => {
    server.close()
    server.closeIdleConnections()
    limiter.close()
  }
  return [server.address().port, close]
}

const [port, close] = await START[adapter]()
const shutDown = async () => {
  await Promise.all([close(), own?.close()])
  process.removeAllListeners('SIGTERM')
  process.disconnect?.()
}
process.once('SIGTERM', shutDown)
process.once('message', shutDown)
process.send({ port })
