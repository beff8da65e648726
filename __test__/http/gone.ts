import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  request as requestPlain,
  type Server,
} from 'node:http'
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  createSecureServer,
} from 'node:http2'
import { createServer as createTlsServer, request as requestSecure } from 'node:https'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { afterEach } from 'vitest'
import { CERTIFICATE } from '../redis/certificate.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own request
export type Options = any
export type Transport = 'TCP' | 'TLS' | 'HTTP/2' | 'HTTP/2 over TLS'

/** A listener behind a limiter with these options, for every adapter; `ran` is called by its handler. */
export const LISTENERS: Record<
  string,
  (options: Options, ran: () => void, isHttp2: boolean) => Promise<RequestListener>
> = {
  'Fastify 5': async (options, ran, isHttp2) => {
    const app = Fastify((isHttp2 ? { http2: true } : {}) as object)
    await app.register(forFastify, options)
    app.get('/', async () => {
      ran()
      return 'done'
    })
    await app.ready()
    closing.push(() => app.close())
    return app.routing as RequestListener
  },
  'Express 5': (options, ran) => ofExpress(express(), options, ran),
  'Express 4': (options, ran) => ofExpress(express4(), options, ran),
  Hono: async (options, ran) => {
    const app = new Hono()
    app.use(forHono(options))
    app.get('/', (c) => {
      ran()
      return c.text('done')
    })
    return getRequestListener(app.fetch) as RequestListener
  },
  'node:http': async (options, ran) =>
    forHttp(options).wrap((_, response) => {
      ran()
      response.end('done')
    }),
}

async function ofExpress(app: ReturnType<typeof express>, options: Options, ran: () => void) {
  app.use(forExpress(options))
  app.get('/', (_, response) => {
    ran()
    response.send('done')
  })
  return app as RequestListener
}

/** A server that listens on TCP, and what it has seen. */
export interface Watched {
  readonly server: Server
  readonly port: number
  /** How often a handler ran. */
  runs(): number
  /** How many requests came in. */
  requests(): number
  /** Requests that came in while their socket had no address and was not destroyed. */
  unseen(): number
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

export async function watch(
  adapter: string,
  transport: Transport,
  options: Options,
): Promise<Watched> {
  let runs = 0
  let requests = 0
  let unseen = 0
  const isHttp2 = transport.startsWith('HTTP/2')
  const listener = await LISTENERS[adapter]?.(options, () => runs++, isHttp2)
  const server = SERVERS[transport]((request, response) => {
    requests++
    const { remoteAddress, destroyed } = request.socket
    if (remoteAddress === undefined && !destroyed) unseen++
    listener?.(request, response)
  })
  server.on('sessionError', () => {})
  server.on('clientError', (_, socket) => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.closeAllConnections?.()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { server, port, runs: () => runs, requests: () => requests, unseen: () => unseen }
}

const SERVERS: Record<Transport, (listener: RequestListener) => Server> = {
  TCP: (listener) => createServer(listener),
  TLS: (listener) => createTlsServer(CERTIFICATE, listener),
  'HTTP/2': (listener) => createHttp2Server(listener as never) as unknown as Server,
  'HTTP/2 over TLS': (listener) =>
    createSecureServer(CERTIFICATE, listener as never) as unknown as Server,
}

const FORGED = { 'x-forwarded-for': '198.51.100.9', 'x-api-key': 'one' }
const TEXT = `GET / HTTP/1.1\r\nhost: localhost\r\n${Object.entries(FORGED)
  .map((pair) => pair.join(': '))
  .join('\r\n')}\r\n\r\n`

/** Makes a request and resets the connection before the server can have read it: resolves when it is gone. */
const RESET: Record<Transport, (port: number) => Promise<unknown>> = {
  TCP: (port) => {
    const socket = dial(port)
    socket.on('connect', () => socket.write(TEXT, () => socket.resetAndDestroy()))
    return closed(socket)
  },
  TLS: (port) => {
    const socket = dial(port)
    const secure = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    secure.on('error', () => {})
    secure.on('secureConnect', () => secure.write(TEXT, () => socket.resetAndDestroy()))
    return closed(socket)
  },
  'HTTP/2': (port) => resetSession(dial(port), 'http://localhost'),
  'HTTP/2 over TLS': (port) => resetSession(dial(port), 'https://localhost'),
}

function resetSession(socket: Socket, origin: string): Promise<unknown> {
  const createConnection = (): Socket =>
    origin.startsWith('https')
      ? connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
      : socket
  const session = connectHttp2(origin, { createConnection })
  session.on('error', () => {})
  session.on('connect', () => {
    const stream = session.request({ ':path': '/', ...FORGED })
    stream.on('error', () => {})
    stream.end()
    // Written in this turn of the loop; what is on its way then is reset with all the rest.
    setImmediate(() => {
      if (!socket.destroyed) socket.resetAndDestroy()
    })
  })
  return closed(socket)
}

function dial(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  return socket
}

const closed = (socket: Socket): Promise<unknown> =>
  new Promise((resolve) => socket.on('close', resolve))

/** Resets connections until the server has seen `count` requests without a client, or enough have been tried. */
export async function resetSome(watched: Watched, transport: Transport, count: number) {
  for (let tried = 0; tried < 10 * count && watched.unseen() < count; tried += 50) {
    await Promise.all(Array.from({ length: 50 }, () => RESET[transport](watched.port)))
    await idle(watched.server)
  }
}

/** Waits until the server has no connection left, and its promises are settled. */
async function idle(server: Server): Promise<void> {
  const left = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_, open) => resolve(open)))
  for (let i = 0; i < 1000 && (await left()) > 0; i++) await pause()
  for (let i = 0; i < 10; i++) await pause()
}

const pause = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 1))

/** Requests of clients that stay for the answer: how many were served. */
export async function stay(transport: Transport, port: number, count: number): Promise<number> {
  let served = 0
  if (transport.startsWith('HTTP/2')) {
    const origin = `${transport === 'HTTP/2' ? 'http' : 'https'}://127.0.0.1:${port}`
    const session = connectHttp2(origin, { rejectUnauthorized: false })
    for (let i = 0; i < count; i++) {
      const stream = session.request({ ':path': '/', ...FORGED })
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
      if (headers[':status'] === 200) served++
      stream.resume()
      await once(stream, 'close')
    }
    session.close()
    return served
  }
  const request = transport === 'TCP' ? requestPlain : requestSecure
  for (let i = 0; i < count; i++) {
    const call = request({ port, headers: FORGED, rejectUnauthorized: false, agent: false }).end()
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    response.resume()
    if (response.statusCode === 200) served++
  }
  return served
}
