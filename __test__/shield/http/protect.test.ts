import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2,
  createSecureServer,
} from 'node:http2'
import { createServer as createHttps } from 'node:https'
import {
  type AddressInfo,
  connect,
  createServer as createNet,
  type Server,
  type Socket,
} from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import express from 'express'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { rateThrottle } from 'ratethrottle/http'
import { shield } from 'ratethrottle/shield'
import { expect, it, onTestFinished, vi } from 'vitest'
import { PATIENCE } from '../../fixtures/patience.ts'
import { text } from '../../http/client.ts'
import { CERTIFICATE } from '../../redis/certificate.ts'

const BAD = '127.0.0.9'

function guardOf() {
  const guard = shield({ mode: 'enforce' })
  onTestFinished(() => guard.close())
  return guard
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

function hello(_request: unknown, response: ServerResponse): void {
  response.end('hello')
}

/** What a client reads until the connection ends; or the code of its error. */
async function exchange(port: number, from: string, sent = text('/')): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from })
  return readAll(socket, sent)
}

async function readAll(socket: Socket, sent: string): Promise<string> {
  let read = ''
  socket.setEncoding('latin1')
  socket.on('data', (data) => {
    read += data
  })
  socket.write(sent)
  return new Promise((resolve) => {
    socket.on('error', (error: Error & { code?: string }) => resolve(`${read}${error.code}`))
    socket.on('close', () => resolve(read))
  })
}

const LAST = text('/', { connection: 'close' })

it('a blocked source gets a 429 when it connects, others are served', async () => {
  const guard = guardOf()
  let seen = 0
  const server = createServer((request, response) => {
    seen++
    hello(request, response)
  })
  const undo = guard.protect(server)
  const port = await listen(server)
  guard.block(BAD, 90_000)
  const answer = await exchange(port, BAD)
  expect(answer).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\nRetry-After: (8\d|9[01])\r\n/)
  const body = JSON.parse(answer.slice(answer.indexOf('{')))
  expect(body.type).toMatch(/#abnormal-usage-detected$/)
  expect(answer).toContain(`Content-Length: ${JSON.stringify(body).length}\r\n`)
  expect(answer).not.toContain(BAD)
  expect(seen).toBe(0)
  expect(await exchange(port, '127.0.0.8', LAST)).toMatch(/^HTTP\/1\.1 200 .*hello$/s)
  guard.pardon(BAD)
  expect(await exchange(port, BAD, LAST)).toMatch(/^HTTP\/1\.1 200 /)
  guard.block(BAD, 90_000)
  undo()
  expect(await exchange(port, BAD, LAST)).toMatch(/^HTTP\/1\.1 200 /)
})

it('with answer: "reset" its connection is reset', async () => {
  const guard = guardOf()
  const server = createServer(hello)
  guard.protect(server, { answer: 'reset' })
  const port = await listen(server)
  guard.block(BAD, 90_000)
  expect(await exchange(port, BAD)).toBe('ECONNRESET')
  expect(await exchange(port, '127.0.0.8', LAST)).toMatch(/^HTTP\/1\.1 200 /)
})

it('a look at connections counts nothing, and watch and off close none', async () => {
  for (const mode of ['watch', 'off'] as const) {
    const guard = shield({ mode })
    const server = createServer(hello)
    guard.protect(server)
    const port = await listen(server)
    guard.block(BAD, 90_000)
    expect(await exchange(port, BAD, LAST)).toMatch(/^HTTP\/1\.1 200 /)
    expect(guard.state().admitted).toBe(0)
    guard.close()
  }
})

it('idle keep-alive connections end when their source is blocked, busy ones after their response', async () => {
  const guard = guardOf()
  let finish = (): void => {}
  const server = createServer((request: IncomingMessage, response) => {
    if (request.url === '/slow') finish = () => response.end('late')
    else response.end('hello')
  })
  guard.protect(server)
  const port = await listen(server)
  const idle = connect({ host: '127.0.0.1', port, localAddress: BAD })
  const other = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.8' })
  idle.write(text('/'))
  other.write(text('/'))
  await Promise.all([once(idle, 'data'), once(other, 'data')])
  const busy = exchange(port, BAD, text('/slow'))
  await vi.waitFor(() => expect(finish).not.toHaveLength(1), PATIENCE)
  await vi.waitFor(async () => expect(server.listenerCount('connection')).toBe(1), PATIENCE)
  await new Promise((resolve) => setTimeout(resolve, 50))
  guard.block(BAD, 90_000)
  await once(idle, 'close')
  finish()
  const answer = await busy
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n.*connection: close.*late/is)
  expect(other.destroyed).toBe(false)
  other.destroy()
})

it('TLS: a 429 after the handshake, or a reset before it', async () => {
  for (const answer of ['429', 'reset'] as const) {
    const guard = guardOf()
    const server = createHttps(CERTIFICATE, hello)
    guard.protect(server, { answer })
    const port = await listen(server)
    guard.block(BAD, 90_000)
    const tls = (from: string): TLSSocket =>
      connectTls({
        socket: connect({ host: '127.0.0.1', port, localAddress: from }),
        rejectUnauthorized: false,
      })
    const said = await readAll(tls(BAD), LAST)
    if (answer === '429') expect(said).toMatch(/^HTTP\/1\.1 429 /)
    else expect(said).toBe('ECONNRESET')
    expect(await readAll(tls('127.0.0.8'), LAST)).toMatch(/^HTTP\/1\.1 200 /)
  }
})

function settledOf(session: ClientHttp2Session): Promise<'open' | 'closed'> {
  return new Promise((resolve) => {
    session.on('error', () => resolve('closed'))
    session.on('close', () => resolve('closed'))
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => resolve('closed'))
    stream.on('response', () => resolve('open'))
    stream.resume()
  })
}

it.each(['plain', 'TLS'])(
  'HTTP/2, %s: blocked sources are reset, and open sessions end',
  async (kind) => {
    const guard = guardOf()
    const server =
      kind === 'TLS' ? createSecureServer(CERTIFICATE, hello as never) : createHttp2(hello as never)
    guard.protect(server as never)
    const port = await listen(server as never)
    const scheme = kind === 'TLS' ? 'https' : 'http'
    const open = (from: string) =>
      connectHttp2(`${scheme}://127.0.0.1:${port}`, {
        localAddress: from,
        rejectUnauthorized: false,
      } as object)
    const early = open(BAD)
    const other = open('127.0.0.8')
    expect(await Promise.all([settledOf(early), settledOf(other)])).toEqual(['open', 'open'])
    guard.block(BAD, 90_000)
    await once(early, 'close')
    expect(await settledOf(open(BAD))).toBe('closed')
    expect(await settledOf(other)).toBe('open')
    other.destroy()
  },
)

it('connections of a trusted proxy are left alone, however its clients behave', async () => {
  const guard = guardOf()
  const limiter = rateThrottle({ shield: guard, trust: { proxies: BAD } })
  const server = createServer(limiter.wrap(hello))
  guard.protect(server)
  const port = await listen(server)
  // Even if the proxy itself is blocked: for failed requests of its own.
  guard.block(BAD, 90_000)
  guard.block('203.0.113.7', 90_000)
  const forwarded = (client: string) =>
    text('/', { connection: 'close', 'x-forwarded-for': client })
  expect(await exchange(port, BAD, forwarded('203.0.113.8'))).toMatch(/^HTTP\/1\.1 200 /)
  expect(await exchange(port, BAD, forwarded('203.0.113.7'))).toMatch(/^HTTP\/1\.1 429 /)
  expect(await exchange(port, BAD, LAST)).toMatch(/^HTTP\/1\.1 429 .*content-length/is)
})

it('so are those of a proxy that only the framework trusts, once it is known', async () => {
  const guard = guardOf()
  const app = express()
  app.set('trust proxy', [BAD])
  app.use(forExpress({ shield: guard }))
  const server = createServer(app)
  guard.protect(server)
  const port = await listen(server)
  // Failed requests of the proxy's own: checks of a path that is not there.
  for (let i = 0; i < 40; i++)
    await exchange(port, BAD, text(`/health-${i}`, { connection: 'close' }))
  expect(guard.isBlocked(BAD)).toBeGreaterThan(0)
  const forwarded = text('/', { connection: 'close', 'x-forwarded-for': '203.0.113.8' })
  expect(await exchange(port, BAD, forwarded)).toMatch(/^HTTP\/1\.1 404 /)
})

it('the same source without a proxy is closed after as many failures', async () => {
  const guard = guardOf()
  const app = express()
  app.use(forExpress({ shield: guard }))
  const server = createServer(app)
  guard.protect(server)
  const port = await listen(server)
  for (let i = 0; i < 40; i++)
    await exchange(port, BAD, text(`/probe-${i}`, { connection: 'close' }))
  expect(await exchange(port, BAD, LAST)).toMatch(
    /^HTTP\/1\.1 429 Too Many Requests\r\nRetry-After/,
  )
})

it('a client that ignores its answer and keeps sending is cut off', async () => {
  const guard = guardOf()
  const server = createServer(hello)
  guard.protect(server)
  const port = await listen(server)
  guard.block(BAD, 90_000)
  const socket = connect({ host: '127.0.0.1', port, localAddress: BAD, allowHalfOpen: true })
  const sending = setInterval(() => socket.write('x'.repeat(1_000)), 20)
  onTestFinished(() => clearInterval(sending))
  socket.on('error', () => {})
  socket.resume()
  await new Promise((resolve) => socket.on('close', resolve))
  await vi.waitFor(async () => {
    const count = await new Promise((resolve) => server.getConnections((_, n) => resolve(n)))
    expect(count).toBe(0)
  }, PATIENCE)
})

it('a server that listens already, and one that gets its connections from another', async () => {
  const guard = guardOf()
  const server = createServer(hello)
  const port = await listen(server)
  const undo = guard.protect(server)
  const front = createNet((socket) => server.emit('connection', socket))
  const other = await listen(front)
  guard.block(BAD, 90_000)
  for (const at of [port, other]) {
    expect(await exchange(at, BAD)).toMatch(/^HTTP\/1\.1 429 /)
    expect(await exchange(at, '127.0.0.8', LAST)).toMatch(/^HTTP\/1\.1 200 /)
  }
  undo()
  for (const at of [port, other]) expect(await exchange(at, BAD, LAST)).toMatch(/^HTTP\/1\.1 200 /)
})

it('a server that is closed and listens again is protected still', async () => {
  const guard = guardOf()
  const server = createServer(hello)
  guard.protect(server)
  await listen(server)
  server.close()
  await once(server, 'close')
  const port = await listen(server)
  guard.block(BAD, 90_000)
  expect(await exchange(port, BAD)).toMatch(/^HTTP\/1\.1 429 /)
})
