import { request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { describe, expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { stream } from '../fixtures/http2.ts'
import { byLength } from '../fixtures/long.ts'
import { ask, pipeline, repeat, text } from '../http/client.ts'
import { FRAMEWORKS, serve } from '../http/serve.ts'

const { RATETHROTTLE_PIPELINED: given } = process.env
const PIPELINED = Number(given ?? 5_000)
const GIGABYTE = 2 ** 30
const CHUNK = Buffer.alloc(65_536, 'x')

/** Uploads until the server has had enough, or a gigabyte is through: the status of its answer. */
async function upload(port: number, headers: Record<string, number>): Promise<number | undefined> {
  const call = request({
    host: '127.0.0.1',
    port,
    path: '/up',
    method: 'POST',
    headers,
    agent: false,
  })
  const answered = new Promise<number | undefined>((resolve) => {
    call.on('response', ({ statusCode }) => resolve(statusCode))
    // Once it has answered, a server may close however it likes.
    call.on('error', () => resolve(undefined))
  })
  let sent = 0
  const send = (): void => {
    while (sent < GIGABYTE && !call.destroyed) {
      sent += CHUNK.length
      if (!call.write(CHUNK)) {
        call.once('drain', send)
        return
      }
    }
  }
  send()
  const status = await answered
  call.destroy()
  return status
}

/** Sockets that a server accepted: what each of them read. */
function watch(server: {
  on(event: 'connection', listener: (socket: Socket) => void): unknown
}): Socket[] {
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  return sockets
}

describe.each(FRAMEWORKS)('%s', (name) => {
  it(`${PIPELINED} pipelined requests on one socket: exactly N are served (H88)`, async () => {
    const { port, runs } = await serve(name, { limits: '321/day' })
    let admitted = 0
    for (let sent = 0; sent < PIPELINED; sent += 1_000) {
      const seen = await pipeline(port, Array(1_000).fill(text()))
      expect(seen).toHaveLength(1_000)
      admitted += seen.filter((status) => status === 200).length
    }
    expect([admitted, runs()]).toEqual([321, 321])
  })

  it.each([
    ['a length', { 'content-length': GIGABYTE }],
    ['chunks', {}],
  ])(
    'a gigabyte for a denied key, sent with %s: less than 128 KB of it are read (H89)',
    async (_, headers) => {
      const routes = [{ path: '/up', method: 'POST' }] as const
      const { port, server } = await serve(name, { limits: '1/day' }, { routes })
      await ask(port)
      const sockets = watch(server)
      expect(await upload(port, headers)).toBe(429)
      expect(sockets).toHaveLength(1)
      expect(sockets[0]?.bytesRead).toBeLessThan(131_072)
    },
  )

  it('of a gigabyte from an address on the deny list less than 128 KB are read (H89)', async () => {
    const { port, server } = await serve(name, { limits: '9/day', deny: '127.0.0.1' })
    const sockets = watch(server)
    expect(await upload(port, { 'content-length': GIGABYTE })).toBe(403)
    expect(sockets[0]?.bytesRead).toBeLessThan(131_072)
  })
})

it('a small body is read and dropped, and the connection stays open (H89)', async () => {
  const { port, server } = await serve('node:http', { limits: '1/day' })
  const sockets = watch(server)
  const body = 'x'.repeat(1_000)
  const post = `${text('/', { 'content-length': '1000' }, 'POST')}${body}`
  expect(await pipeline(port, [text(), post, post, text()])).toEqual([200, 429, 429, 429])
  expect(sockets).toHaveLength(1)
})

async function serveHttp2(options: object, handlerMs?: number) {
  const app = Fastify({ http2: true })
  let runs = 0
  await app.register(rateThrottle, options)
  app.get('/', async () => {
    runs++
    await new Promise((resolve) => setTimeout(resolve, handlerMs ?? runs % 5))
    return 'ok'
  })
  app.post('/', () => `${++runs}`)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const session = connectHttp2(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  const close = async (): Promise<void> => {
    session.destroy()
    await app.close()
  }
  return { app, session, close, runs: () => runs }
}

it('1,000 HTTP/2 streams on one connection: exactly N are served, with the headers (H88)', async () => {
  const { session, close, runs } = await serveHttp2({ limits: '77/day', headers: 'both' })
  const seen = await Promise.all(repeat(1_000, () => stream(session)))
  expect(seen.filter((status) => status === 200)).toHaveLength(77)
  expect(seen.filter((status) => status === 429)).toHaveLength(923)
  expect(runs()).toBe(77)
  await close()
})

it('1,000 HTTP/2 streams, reset before their response: N handler runs, and no refund (H88)', async () => {
  const options = { limits: '50/day', countWhen: 'failure' }
  const { session, close, runs } = await serveHttp2(options, 300)
  for (let i = 0; i < 10; i++)
    await Promise.all(repeat(100, () => stream(session, Math.random() * 3)))
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(runs()).toBeLessThanOrEqual(50)
  const seen = await Promise.all(repeat(100, () => stream(session)))
  expect(seen.filter((status) => status !== 200 && status !== 429)).toEqual([])
  // Whatever was still left after the resets is given out and given back, and more than N never at once.
  const early = runs() - seen.filter((status) => status === 200).length
  expect(early).toBeLessThanOrEqual(50)
  await close()
})

it('1,000 HTTP/2 streams, reset at random: each later admission is one handler run (H88)', async () => {
  const options = { limits: '50/day', countWhen: 'failure' }
  const { session, close, runs } = await serveHttp2(options)
  for (let i = 0; i < 10; i++)
    await Promise.all(repeat(100, () => stream(session, Math.random() * 3)))
  const early = runs()
  // Those that were answered before the reset have earned theirs back; no other process has.
  const seen = await Promise.all(repeat(200, () => stream(session)))
  expect(seen.filter((status) => status !== 200 && status !== 429)).toEqual([])
  expect(runs() - early).toBe(seen.filter((status) => status === 200).length)
  await close()
})

it('a gigabyte over HTTP/2 for a denied key: at most its flow-control window is read (H89)', async () => {
  const { app, session, close } = await serveHttp2({ limits: '1/day' })
  const sockets = watch(app.server)
  await stream(session)
  const call = session.request({ ':path': '/', ':method': 'POST', 'content-length': GIGABYTE })
  call.on('error', () => {})
  const status = new Promise((resolve) =>
    call.on('response', (headers) => resolve(headers[':status'])),
  )
  for (let i = 0; i < 200; i++) call.write(CHUNK)
  expect(await status).toBe(429)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0)).toBeLessThan(131_072)
  await close()
})

it('many limiters, made and closed, leave no handle and no memory, and the process ends (H95)', async () => {
  const { code, out, err } = await run('security/cycles.mjs', [String(byLength(150, 500))], {}, [
    '--expose-gc',
  ])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { handles, grownMb } = JSON.parse(out)
  expect(handles).toBe(0)
  expect(grownMb).toBeLessThan(byLength(6, 16))
})
