import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http'
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import { createRequire } from 'node:module'
import {
  type AddressInfo,
  connect,
  createServer as createNetServer,
  type Server,
  type Socket,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { afterEach, expect, it } from 'vitest'
import { CERTIFICATE } from '../redis/certificate.ts'
import { LISTENERS } from './gone.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const ADAPTERS = Object.keys(LISTENERS)
const make = (adapter: string, options: object): Promise<RequestListener> =>
  (LISTENERS[adapter] as (typeof LISTENERS)[string])(options, () => {}, false)

/** A path of a Unix-domain socket on which the server listens until the test ends. */
async function onPipe(server: Server): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ratethrottle-'))
  const path = join(folder, 'socket')
  server.listen(path)
  await once(server, 'listening')
  closing.push(async () => {
    ;(server as { closeAllConnections?(): void }).closeAllConnections?.()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true })
  })
  return path
}

const TEXT =
  'GET / HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 198.51.100.9\r\nconnection: close\r\n\r\n'

/** The status that comes back over any stream. */
async function statusOver(stream: Duplex): Promise<number> {
  let text = ''
  stream.setEncoding('latin1')
  stream.on('data', (data) => {
    text += data
  })
  stream.write(TEXT)
  for (let i = 0; i < 1000 && !/ (\d{3}) /.test(text); i++) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  stream.destroy()
  return Number(/ (\d{3}) /.exec(text)?.[1])
}

async function statuses(count: number, dial: () => Duplex): Promise<number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push(await statusOver(dial()))
  return seen
}

/** Two ends of a stream in this process. */
function pair(): [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _, done) {
        other().push(chunk)
        done()
      },
      final(done) {
        other().push(null)
        done()
      },
    })
  const near: Duplex = end(() => far)
  const far: Duplex = end(() => near)
  return [near, far]
}

it.each(ADAPTERS)(
  '%s: callers over a Unix-domain socket are one caller, over TLS too',
  async (name) => {
    const plain = await onPipe(createServer(await make(name, { limits: '2/hour' })))
    expect(await statuses(3, () => connect(plain))).toEqual([200, 200, 429])
    const secure = await onPipe(
      createTlsServer(CERTIFICATE, await make(name, { limits: '2/hour', deny: '127.0.0.1' })),
    )
    const dial = (): Socket => connectTls({ path: secure, rejectUnauthorized: false })
    expect(await statuses(3, dial)).toEqual([200, 200, 429])
  },
)

it.each(ADAPTERS)(
  "%s: trust: ['unix'] trusts the headers of a Unix-domain socket",
  async (name) => {
    const keys: unknown[] = []
    const onAdmit = ({ key }: { key: unknown }): void => void keys.push(key)
    const options = { limits: '2/hour', trust: ['unix'], onAdmit }
    const path = await onPipe(createServer(await make(name, options)))
    expect(await statuses(3, () => connect(path))).toEqual([200, 200, 429])
    expect(keys).toEqual(['198.51.100.9', '198.51.100.9'])
  },
)

it.each(ADAPTERS)(
  '%s: connections of a Unix-domain socket passed to a TCP server are one caller',
  async (name) => {
    const server = createServer(await make(name, { limits: '2/hour', allow: '10.0.0.1' }))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => new Promise((resolve) => server.close(resolve)))
    const path = await onPipe(createNetServer((socket) => void server.emit('connection', socket)))
    expect(await statuses(3, () => connect(path))).toEqual([200, 200, 429])
  },
)

it.each(ADAPTERS)(
  '%s: connections over in-process streams are one caller, over TLS too',
  async (name) => {
    const listener = await make(name, { limits: '2/hour', key: () => 'all', missingKey: 'shared' })
    const servers = [createServer(listener), createTlsServer(CERTIFICATE, listener)]
    const dial = (server: HttpServer) => (): Duplex => {
      const [near, far] = pair()
      server.emit('connection', far)
      return server === servers[0] ? near : connectTls({ socket: near, rejectUnauthorized: false })
    }
    expect(await statuses(1, dial(servers[0] as HttpServer))).toEqual([200])
    expect(await statuses(2, dial(servers[1] as HttpServer))).toEqual([200, 429])
  },
)

it('HTTP/2 requests over a Unix-domain socket are one caller', async () => {
  const limiter = forHttp({ limits: '2/hour', deny: '127.0.0.1' })
  const listener = limiter.wrap((_, response) => void response.end('done'))
  const path = await onPipe(createHttp2Server(listener as never))
  const session = connectHttp2('http://localhost', { createConnection: () => connect(path) })
  const seen: unknown[] = []
  for (let i = 0; i < 3; i++) {
    const stream = session.request({ ':path': '/' })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    seen.push(headers[':status'])
    stream.resume()
    await once(stream, 'close')
  }
  expect(seen).toEqual([200, 200, 429])
  session.destroy()
})

it('HTTP/2: a client whose session ends while its key is computed is not a caller without an address', async () => {
  const seen: unknown[] = []
  let runs = 0
  const limiter = forHttp({
    limits: '2/hour',
    key: async (request, facts) => {
      const { stream } = request as unknown as { stream: ServerHttp2Stream }
      stream.session?.destroy()
      seen.push(facts.client(request))
      await new Promise((resolve) => setTimeout(resolve, 5))
      seen.push(facts.client(request))
      return facts.client(request)
    },
  })
  const listener = limiter.wrap((_, response) => {
    runs++
    response.end('done')
  })
  const server = createHttp2Server(listener as never).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => new Promise((resolve) => server.close(resolve)))
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  session.on('error', () => {})
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  await once(stream, 'close')
  for (let i = 0; i < 500 && seen.length < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  expect([seen, runs]).toEqual([[undefined, undefined], 0])
})

it('requests by Fastify inject have an address', async () => {
  const app = Fastify()
  await app.register(forFastify, { limits: '2/hour', deny: '10.0.0.1' })
  app.get('/', async () => 'done')
  const seen: number[] = []
  for (let i = 0; i < 3; i++) seen.push((await app.inject('/')).statusCode)
  expect(seen).toEqual([200, 200, 429])
  expect((await app.inject({ url: '/', remoteAddress: '10.0.0.1' })).statusCode).toBe(403)
  await app.close()
})

it('Hono app.request() with a key from the request counts by that key', async () => {
  const app = new Hono()
  app.use(forHono({ limits: '1/hour', key: (c) => c.req.query('who') }))
  app.get('/', (c) => c.text('done'))
  const seen: number[] = []
  for (const who of ['a', 'a', 'b', '']) seen.push((await app.request(`/?who=${who}`)).status)
  expect(seen).toEqual([200, 429, 200, 400])
})

it.each([
  ['Express', express()],
  ['Express 4', express4()],
])(
  '%s: a proxy setting for TCP leaves the callers of a Unix-domain socket one caller',
  async (_, app) => {
    app.set('trust proxy', '10.0.0.0/8')
    app.use(forExpress({ limits: '2/hour' }))
    app.get('/', (_, response) => void response.send('done'))
    const path = await onPipe(createServer(app))
    expect(await statuses(3, () => connect(path))).toEqual([200, 200, 429])
  },
)

it('Fastify: a proxy setting for TCP leaves the callers of a Unix-domain socket one caller', async () => {
  const app = Fastify({ trustProxy: '10.0.0.0/8' })
  await app.register(forFastify, { limits: '2/hour' })
  app.get('/', async () => 'done')
  await app.ready()
  const path = await onPipe(createServer((request, response) => app.routing(request, response)))
  expect(await statuses(3, () => connect(path))).toEqual([200, 200, 429])
  await app.close()
})
