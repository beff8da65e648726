import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve as serveHono } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { stream } from 'hono/streaming'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, onTestFinished, test } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'

const OPTIONS = { limits: '2/hour', countWhen: 'failure' } as const
const EVENTS = { 'content-type': 'text/event-stream' }

/** Begins a stream of events, or says that the login failed. */
function answer(url: string | undefined, response: ServerResponse): void {
  response.writeHead(url === '/bad' ? 401 : 200, EVENTS)
  response.write('data: hello\n\n')
  if (url === '/bad') response.end()
}

const START: Record<string, () => Promise<number>> = {
  http: async () => {
    const limiter = forHttp(OPTIONS)
    const server = createServer(limiter.wrap((req, res) => answer(req.url, res)))
    return listen(server.listen(0, '127.0.0.1'))
  },
  express: async () => {
    const app = express()
    app.use(forExpress(OPTIONS))
    app.use((req, res) => answer(req.url, res))
    return listen(app.listen(0, '127.0.0.1'))
  },
  fastify: async () => {
    const app = Fastify({ forceCloseConnections: true })
    await app.register(forFastify, OPTIONS)
    app.get('/*', (req, reply) => {
      reply.hijack()
      answer(req.url, reply.raw)
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => app.close())
    return (app.server.address() as AddressInfo).port
  },
  hono: async () => {
    const app = new Hono()
    app.use(forHono(OPTIONS))
    app.get('/*', (c) => {
      if (c.req.path === '/bad') return c.text('bad', 401)
      return stream(c, async (s) => {
        let isOpen = true
        s.onAbort(() => {
          isOpen = false
        })
        await s.write('data: hello\n\n')
        while (isOpen) await sleep(10)
      })
    })
    return listen(serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Listening)
  },
}

type Listening = ReturnType<typeof createServer>

async function listen(server: Listening): Promise<number> {
  if (!server.listening) await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** The response as soon as its headers are here, or nothing if they take too long. */
async function open(port: number, path = '/'): Promise<IncomingMessage | undefined> {
  const call = get({ host: '127.0.0.1', port, path, agent: false })
  call.on('error', () => {})
  const response = once(call, 'response').then(([found]) => found as IncomingMessage)
  const found = await Promise.race([response, sleep(PATIENCE, undefined, { ref: false })])
  found?.on('error', () => {})
  found?.resume()
  if (found === undefined) call.destroy()
  return found
}

for (const adapter of Object.keys(START)) {
  test(`an open stream holds no unit, and does not count as a failure when its client closes it, ${adapter}`, async () => {
    const port = await (START[adapter] as () => Promise<number>)()
    const streams: (IncomingMessage | undefined)[] = []
    for (let i = 0; i < 4; i++) streams.push(await open(port))
    expect(streams.map((response) => response?.statusCode)).toEqual([200, 200, 200, 200])
    for (const response of streams) response?.destroy()
    await sleep(100)
    const statuses: (number | undefined)[] = []
    for (const path of ['/', '/bad', '/bad', '/bad']) {
      const response = await open(port, path)
      statuses.push(response?.statusCode)
      response?.destroy()
    }
    expect(statuses).toEqual([200, 401, 401, 429])
  })
}
