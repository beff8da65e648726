import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import express, { type Express } from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { rateThrottle as forKoa } from 'ratethrottle/koa'
import { expect, onTestFinished, test } from 'vitest'

// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own requests
type Options = any
type Answer = (request: IncomingMessage, response: ServerResponse) => void

interface Limited {
  readonly server: Server
  /** The decision about a key now. */
  peek(key: string): unknown
}

const require = createRequire(`${process.cwd()}/`)
const ofExpress = (app: Express, options: Options, answer: Answer): Limited => {
  const limiter = forExpress(options)
  app.use(limiter)
  app.use((request, response) => answer(request, response))
  app.use(((error, _request, response, _next) => {
    response.status(error.statusCode ?? 500).end()
  }) as express.ErrorRequestHandler)
  return { server: createServer(app), peek: (key) => limiter.peek(key) }
}

/** Every adapter, with a handler that answers on the response of node:http. */
const MAKE: Record<string, (options: Options, answer: Answer) => Limited | Promise<Limited>> = {
  'node:http': (options, answer) => {
    const limiter = forHttp(options)
    const listener = limiter.wrap((request, response) => {
      try {
        answer(request, response)
      } catch {
        response.writeHead(500).end()
      }
    })
    return { server: createServer(listener), peek: (key) => limiter.peek(key) }
  },
  'Express 5': (options, answer) => ofExpress(express(), options, answer),
  'Express 4': (options, answer) => ofExpress(require('express-4')(), options, answer),
  Fastify: async (options, answer) => {
    const app = Fastify()
    await app.register(forFastify, options)
    app.all('/*', (request, reply) => {
      answer(request.raw, reply.raw)
      reply.hijack()
    })
    await app.ready()
    return { server: app.server, peek: (key) => app.rateThrottle.peek(key) }
  },
  Hono: (options, answer) => {
    const app = new Hono<{ Bindings: { incoming: IncomingMessage; outgoing: ServerResponse } }>()
    const limiter = forHono(options)
    app.use(limiter)
    app.all('*', (c) => {
      answer(c.env.incoming, c.env.outgoing)
      return RESPONSE_ALREADY_SENT
    })
    const server = createServer(getRequestListener(app.fetch))
    return { server, peek: (key) => limiter.peek(key) }
  },
  Koa: (options, answer) => {
    const app = new Koa()
    const limiter = forKoa(options)
    app.on('error', () => {})
    app.use(limiter)
    app.use((ctx) => {
      ctx.respond = false
      ctx.res.statusCode = 200
      answer(ctx.req, ctx.res)
    })
    return { server: createServer(app.callback()), peek: (key) => limiter.peek(key) }
  },
}

async function start(
  name: string,
  options: Options,
  answer: Answer,
): Promise<Limited & { port: number }> {
  const made = await (MAKE[name] as (typeof MAKE)[string])(
    { key: () => 'all', headers: false, ...options },
    answer,
  )
  made.server.listen(0, '127.0.0.1')
  await once(made.server, 'listening')
  onTestFinished(() => {
    made.server.closeAllConnections()
    made.server.close()
  })
  return { ...made, port: (made.server.address() as AddressInfo).port }
}

/** A client that writes HTTP by hand. */
class Client {
  readonly socket: Socket
  text = ''

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('error', () => {})
    this.socket.setEncoding('utf8').on('data', (data: string) => {
      this.text += data
    })
    onTestFinished(() => void this.socket.destroy())
  }

  ask(path: string, more = '', method = 'GET'): this {
    this.socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`)
    return this
  }

  async gets(pattern: RegExp): Promise<void> {
    await expect.poll(() => this.text, { interval: 2, timeout: 60_000 }).toMatch(pattern)
  }
}

/** Whether the key gets in, and out again. */
const isFree =
  ({ peek }: Limited) =>
  async () =>
    ((await peek('all')) as { allowed: boolean }).allowed
const becomesFree = (limited: Limited) =>
  expect.poll(isFree(limited), { interval: 2, timeout: 60_000 }).toBe(true)

const ANSWERS: Record<string, Answer> = {
  '/quick': (_, response) => void response.end('quick'),
  '/304': (_, response) => void response.writeHead(304).end(),
  '/204': (_, response) => void response.writeHead(204).end(),
  '/throw': () => {
    throw new Error('handler')
  },
  '/cut': (_, response) => void response.socket?.destroy(),
  '/destroy': (_, response) => void response.destroy(),
  '/stream': (_, response) => {
    response.write('data: 1\n\n')
    setTimeout(() => response.end('data: 2\n\n'), 20)
  },
}

const answer: Answer = (request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://x')
  if (pathname === '/hang') response.write('begun')
  else if (pathname !== '/silent') ANSWERS[pathname]?.(request, response)
}

const FRAMEWORKS = Object.keys(MAKE)

test.each(FRAMEWORKS)('%s: a permit ends with its response, however that ends', async (name) => {
  const limited = await start(name, { concurrent: 1 }, answer)
  for (const path of Object.keys(ANSWERS)) {
    for (const method of ['GET', 'HEAD', 'POST']) {
      const client = new Client(limited.port)
      const closed = once(client.socket, 'close')
      client.ask(path, 'connection: close\r\ncontent-length: 0\r\n', method)
      await closed
      expect(client.text, path).not.toContain(' 429 ')
      await becomesFree(limited)
    }
  }
})

test.each(FRAMEWORKS)(
  '%s: a keep-alive connection uses one permit after the other, and no listener stays',
  async (name) => {
    const limited = await start(name, { concurrent: 1 }, answer)
    const sockets: Socket[] = []
    limited.server.on('connection', (socket) => sockets.push(socket))
    const client = new Client(limited.port)
    const counts: number[] = []
    for (let i = 1; i <= 30; i++) {
      client.ask('/quick')
      await expect.poll(() => client.text.match(/ 200 /g)?.length, { interval: 1 }).toBe(i)
      await becomesFree(limited)
      counts.push((sockets[0] as Socket).listenerCount('close'))
    }
    expect(Math.max(...counts.slice(1))).toBe(counts[1])
  },
)

test.each(FRAMEWORKS)(
  '%s: a response holds its permit until its last byte, and no longer than its client stays',
  async (name) => {
    const limited = await start(name, { concurrent: 1 }, answer)
    for (const path of ['/hang', '/silent']) {
      const client = new Client(limited.port).ask(path)
      await expect.poll(isFree(limited), { interval: 2 }).toBe(false)
      const other = new Client(limited.port).ask('/quick')
      await other.gets(/ 429 /)
      await sleep(20)
      expect(await isFree(limited)()).toBe(false)
      client.socket.destroy()
      await becomesFree(limited)
    }
  },
)

test.each(FRAMEWORKS)(
  '%s: pipelined requests are at work at the same time, and none outlives its connection',
  async (name) => {
    const limited = await start(name, { concurrent: 3 }, answer)
    const client = new Client(limited.port)
    client.ask('/silent').ask('/hang').ask('/silent').ask('/quick').ask('/quick')
    await expect.poll(isFree(limited), { interval: 2 }).toBe(false)
    await new Client(limited.port).ask('/quick').gets(/ 429 /)
    client.socket.destroy()
    await becomesFree(limited)
    const again = await Promise.all(
      [1, 2, 3].map(async () => new Client(limited.port).ask('/hang').gets(/ 200 /)),
    )
    expect(again).toHaveLength(3)
  },
)

test.each(FRAMEWORKS)(
  '%s: a pipelined response that waits behind others is done when it is ended, not when it begins',
  async (name) => {
    const limited = await start(name, { concurrent: 2 }, answer)
    const ended = new Client(limited.port).ask('/silent').ask('/quick')
    // The second is over, the first is not.
    await new Client(limited.port).ask('/hang').gets(/ 200 /)
    await expect.poll(isFree(limited), { interval: 2 }).toBe(false)
    ended.socket.destroy()
    await becomesFree(limited)
    const begun = new Client(limited.port).ask('/silent').ask('/hang')
    await expect.poll(isFree(limited), { interval: 2 }).toBe(false)
    begun.socket.destroy()
  },
)

test.each(FRAMEWORKS)('%s: many clients that hang up leave no permit', async (name) => {
  const limited = await start(name, { concurrent: { perKey: 5, queue: 50 } }, answer)
  const count = 1_000
  for (let i = 0; i < count; i += 20) {
    const clients = Array.from({ length: 20 }, (_, j) => {
      return new Client(limited.port).ask(
        ['/hang', '/silent', '/stream', '/quick'][j % 4] as string,
      )
    })
    // Before, during and after.
    if (i % 60 !== 0) await sleep(i % 7)
    for (const { socket } of clients) socket.destroy()
  }
  await expect
    .poll(
      () => new Promise((resolve) => limited.server.getConnections((_, open) => resolve(open))),
      { interval: 5, timeout: 60_000 },
    )
    .toBe(0)
  await becomesFree(limited)
  const five = Array.from({ length: 5 }, () => new Client(limited.port).ask('/hang'))
  await Promise.all(five.map((client) => client.gets(/ 200 /)))
  expect(await isFree(limited)()).toBe(false)
})

test.each(FRAMEWORKS)(
  '%s: a socket that a handler takes over holds its permit until it is closed',
  async (name) => {
    const limited = await start(name, { concurrent: 1 }, (_, response) => {
      const { socket } = response
      if (socket === null) return
      response.detachSocket(socket)
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
    })
    const client = new Client(limited.port).ask('/', 'connection: upgrade\r\nupgrade: x\r\n')
    await client.gets(/ 101 /)
    expect(await isFree(limited)()).toBe(false)
    client.socket.destroy()
    await becomesFree(limited)
  },
)
