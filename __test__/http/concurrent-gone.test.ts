import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import express from 'express'
import Koa from 'koa'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { rateThrottle as forKoa } from 'ratethrottle/koa'
import { expect, onTestFinished, test, vi } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'

const OPTIONS = { limits: '1000/minute', concurrent: 2 } as const

/** Servers with something before the limiter that takes longer than the client stays, such as a body parser. */
const SERVERS: Record<string, (before: () => Promise<unknown>, run: () => void) => Server> = {
  'node:http': (before, run) => {
    const limiter = forHttp(OPTIONS)
    return createServer(async (request, response) => {
      await before()
      if (await limiter.admit(request, response)) run()
      response.end()
    })
  },
  Express: (before, run) => {
    const app = express()
    app.use((_request, _response, next) => void before().then(() => next()))
    app.use(forExpress(OPTIONS))
    app.use((_request, response) => {
      run()
      response.end()
    })
    return createServer(app)
  },
  Koa: (before, run) => {
    const app = new Koa()
    app.use(async (_context, next) => {
      await before()
      await next()
    })
    app.use(forKoa(OPTIONS))
    app.use(() => run())
    return createServer(app.callback())
  },
}

test.each(Object.keys(SERVERS))(
  'a request whose client has left before it is asked about does not run without a permit, %s',
  async (name) => {
    let arrived = 0
    let isOpen = true
    let ran = 0
    let open: (value: unknown) => void = () => {}
    const gate = new Promise((resolve) => {
      open = resolve
    })
    const server = (SERVERS[name] as (typeof SERVERS)[string])(
      () => {
        if (isOpen) return Promise.resolve()
        arrived++
        return gate
      },
      () => {
        ran++
      },
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close().closeAllConnections())
    const { port } = server.address() as AddressInfo
    const closed: Promise<unknown>[] = []
    server.on('connection', (socket) => closed.push(once(socket, 'close')))
    const clients = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
    // The first request has the connection's address known, which stays known when the client has gone.
    for (const client of clients) {
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await once(client, 'data')
    }
    expect(ran).toBe(20)
    isOpen = false
    for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await vi.waitFor(() => expect(arrived).toBe(20), PATIENCE)
    for (const client of clients) client.destroy()
    await Promise.all(closed)
    open(undefined)
    isOpen = true
    // Those that are there are served afterwards: nothing is held.
    const answers = await Promise.all([1, 2].map(() => fetch(`http://127.0.0.1:${port}/`)))
    expect(answers.map(({ status }) => status)).not.toContain(429)
    expect(ran).toBe(22)
  },
)
