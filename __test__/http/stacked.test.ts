import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import Fastify from 'fastify'
import { RateLimiter } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, onTestFinished, test } from 'vitest'

/*
 * Several limits on one request are charged all or none. A fourth limiter denies: each of the three before it
 * is refunded.
 */

const COUNTS = [10, 20, 30]
const DENIES = { limits: '1/day', key: () => 'spent' }
let made = 0

/** Options of three limiters whose counters the test can read, each under its own name. */
function watched(extra: object = {}) {
  made++
  return COUNTS.map((count, i) => {
    const name = `stacked ${made} ${i}`
    const limits = `${count}/day`
    const look = (): number => {
      const limiter = new RateLimiter(limits as '10/day', { name })
      onTestFinished(() => limiter.close())
      return limiter.peek('client').remaining
    }
    return { options: { limits, name, key: () => 'client', ...extra }, look }
  })
}

async function statuses(port: number, count: number): Promise<(number | undefined)[]> {
  const seen: (number | undefined)[] = []
  for (let i = 0; i < count; i++) {
    const [response] = await once(get({ host: '127.0.0.1', port, agent: false }), 'response')
    response.resume()
    seen.push(response.statusCode)
  }
  return seen
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const SERVERS = {
  express: async (stack: object[]) => {
    const app = express()
    for (const options of stack) app.use(forExpress(options))
    app.get('/', (_, response) => void response.send('done'))
    return listen(createServer(app))
  },
  fastify: async (stack: object[]) => {
    const app = Fastify()
    const [first, ...others] = stack
    await app.register(forFastify, first as { limits: '10/day' })
    const hooks = others.map((options) => app.rateThrottle(options as { limits: '10/day' }))
    app.get('/', { preHandler: hooks }, () => 'done')
    await app.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => app.close())
    return (app.server.address() as AddressInfo).port
  },
  'node:http': async (stack: object[]) => {
    const limiters = stack.map((options) => forHttp(options))
    return listen(
      createServer(async (request, response) => {
        for (const limiter of limiters) if (!(await limiter.admit(request, response))) return
        response.end('done')
      }),
    )
  },
}

test.each(Object.entries(SERVERS))(
  '%s: a denial refunds every limiter before it',
  async (_, start) => {
    const before = watched()
    const port = await start([...before.map(({ options }) => options), DENIES])
    expect(await statuses(port, 4)).toEqual([200, 429, 429, 429])
    expect(before.map(({ look }) => look())).toEqual(COUNTS.map((count) => count - 1))
  },
)

test.each(Object.entries(SERVERS))(
  '%s: a denial refunds limiters before it whose charge is provisional',
  async (_, start) => {
    const before = watched({ countWhen: 'success' })
    const port = await start([...before.map(({ options }) => options), DENIES])
    expect(await statuses(port, 4)).toEqual([200, 429, 429, 429])
    expect(before.map(({ look }) => look())).toEqual(COUNTS.map((count) => count - 1))
  },
)
