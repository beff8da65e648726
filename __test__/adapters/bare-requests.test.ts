import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import Fastify from 'fastify'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { afterEach, expect, test } from 'vitest'
import { listen } from '../http/serve.ts'

type Next = (error?: unknown) => void
type Middleware = (request: IncomingMessage, response: ServerResponse, next: Next) => unknown

// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own request
type Options = any

/** The middlewares that a server without Express can use. */
const MIDDLEWARES: Record<string, (options: Options) => Middleware> = {
  'Express adapter': (options) => {
    const middleware = forExpress(options) as unknown as Middleware
    return (request, response, next) => {
      try {
        middleware(request, response, next)
      } catch (error) {
        next(error)
      }
    }
  },
  "node:http adapter's middleware": (options) => {
    const { middleware } = forHttp(options) as { middleware?: Middleware }
    // One that is not there is no middleware, and passes all.
    return middleware ?? ((_request, _response, next) => next())
  },
}

/** What connect does: one middleware after the other, errors to none of them. */
function chain(...middlewares: Middleware[]): RequestListener {
  return (request, response) => {
    const from = (index: number): void => {
      const next: Next = (error) => {
        if (error === undefined) return from(index + 1)
        response.statusCode = 500
        response.end(`<pre>${error}</pre>`)
      }
      middlewares[index]?.(request, response, next)
    }
    from(0)
  }
}

/** What Engine.IO passes instead of a response during an upgrade: it refuses by closing the connection. */
function responseFor(request: IncomingMessage, socket: Duplex): ServerResponse {
  const headers: Record<string, unknown> = {}
  const response = {
    req: request,
    socket,
    setHeader: (name: string, value: unknown) => {
      headers[name] = value
    },
    getHeader: (name: string) => headers[name],
    writeHead: () => {},
    end: () => socket.destroy(),
  }
  return response as unknown as ServerResponse
}

function upgrade(port: number): Promise<unknown> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  )
  socket.resume()
  return once(socket, 'close')
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const done: Middleware = (_, response) => response.end('done')

async function ask(base: string, count: number, headers: Record<string, string> = {}) {
  const seen: unknown[] = []
  for (let i = 0; i < count; i++) {
    const response = await fetch(base, { headers })
    const text = await response.text()
    seen.push([response.status, /"code":"(\w+)"/.exec(text)?.[1] ?? text])
    if (response.status === 429) expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  }
  return seen
}

const REFUSED = [429, 'RATE_LIMIT_EXCEEDED']

for (const [name, make] of Object.entries(MIDDLEWARES)) {
  test(`${name} limits in a chain of (request, response, next) without an app`, async () => {
    const base = await listen(chain(make({ limits: '2/hour' }), done))
    expect(await ask(base, 3)).toEqual([[200, 'done'], [200, 'done'], REFUSED])
  })

  test(`${name} limits asynchronously, and behind a trusted proxy`, async () => {
    const options = { limits: async () => '1/hour', trust: 'loopback' }
    const base = await listen(chain(make(options), done))
    expect(await ask(base, 2, { 'x-forwarded-for': '10.0.0.1' })).toEqual([[200, 'done'], REFUSED])
    expect(await ask(base, 1, { 'x-forwarded-for': '10.0.0.2' })).toEqual([[200, 'done']])
  })

  test(`${name} limits the raw requests of Fastify, as @fastify/middie passes them`, async () => {
    const limiter = make({ limits: '1/hour' })
    const app = Fastify()
    app.addHook('onRequest', (request, reply, next) => {
      limiter(request.raw, reply.raw, next as Next)
    })
    app.get('/', async () => 'done')
    await app.listen({ port: 0, host: '127.0.0.1' })
    closing.push(() => app.close())
    expect(await ask(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, 2)).toEqual([
      [200, 'done'],
      REFUSED,
    ])
  })

  test(`${name} limits before an upgrade, as io.engine.use calls it`, async () => {
    const limiter = make({ limits: '1/hour' })
    const seen: unknown[] = []
    const server = createServer()
    server.on('upgrade', (request, socket) => {
      limiter(request, responseFor(request, socket), (error) => {
        seen.push(error ?? 'passed')
        socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    const { port } = server.address() as AddressInfo
    for (let i = 0; i < 2; i++) await upgrade(port)
    expect(seen).toEqual(['passed'])
  })
}
