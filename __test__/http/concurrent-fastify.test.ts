import { once } from 'node:events'
import { connect as connectHttp2, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { gauge } from './gauge.ts'

test('a WebSocket of @fastify/websocket holds its permit until it is closed', async () => {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  await app.register(websocket)
  await app.register(rateThrottle, { concurrent: 1 })
  app.get('/', { websocket: true }, (socket) => socket.send('hello'))
  app.get('/plain', async () => 'plain')
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const plain = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/plain`)).status
  for (const end of ['close', 'terminate'] as const) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    await once(socket, 'message')
    expect(await plain()).toBe(429)
    const refused = new WebSocket(`ws://127.0.0.1:${port}/`)
    const [error] = await once(refused, 'error')
    expect(String(error)).toContain('429')
    socket[end]()
    await expect.poll(plain, { timeout: 60_000 }).toBe(200)
  }
})

test('routes: permits of their own, those of the plugin, or none; and hooks', async () => {
  const inside = gauge()
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => {
    inside.open()
    return app.close()
  })
  await app.register(rateThrottle, { limits: '99/minute', concurrent: 2 })
  const handler = async () => `${await inside.handle()}`
  app.get('/all', handler)
  app.get('/one', { config: { rateLimit: { limits: '9/minute', concurrent: 1 } } }, handler)
  app.get('/inherited', { config: { rateLimit: '9/minute' } }, handler)
  app.get('/any', { config: { rateLimit: { limits: '9/minute', concurrent: false } } }, handler)
  app.get('/only', { config: { rateLimit: { concurrent: 3 } } }, handler)
  app.get('/hook', { preHandler: app.rateThrottle({ concurrent: 1 }) }, handler)
  const served: Record<string, number> = {}
  for (const path of ['/one', '/inherited', '/any', '/only', '/hook', '/all']) {
    const before = inside.entered
    const refused: number[] = []
    for (let i = 0; i < 5; i++) {
      void app.inject(path).then(({ statusCode }) => statusCode === 429 && refused.push(statusCode))
    }
    await expect.poll(() => inside.entered - before + refused.length).toBe(5)
    served[path] = inside.entered - before
  }
  // The hook's request has one of the plugin's permits too.
  expect(served).toEqual({
    '/one': 1,
    '/inherited': 2,
    '/any': 5,
    '/only': 3,
    '/hook': 1,
    '/all': 1,
  })
})

test('an injected request gives its permit back', async () => {
  const app = Fastify()
  await app.register(rateThrottle, { concurrent: 1 })
  app.get('/', async () => 'done')
  for (let i = 0; i < 3; i++) expect((await app.inject('/')).statusCode).toBe(200)
})

test('HTTP/2: a stream holds its permit until it ends, is reset, or its session is gone', async () => {
  const limiter = forHttp({ concurrent: 1, key: () => 'k' })
  onTestFinished(() => limiter.close())
  const listener = limiter.wrap((request, response) => {
    if (request.url === '/quick') response.end('quick')
    else response.write('begun')
  })
  const server = createServer(listener as never).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const open = () => connectHttp2(`http://127.0.0.1:${port}`).on('error', () => {})
  const isFree = () => (limiter.peek('k') as { allowed: boolean }).allowed
  for (const end of ['quick', 'reset', 'session'] as const) {
    const session = open()
    const stream = session
      .request({ ':path': end === 'quick' ? '/quick' : '/' })
      .on('error', () => {})
    await once(stream, 'response')
    stream.resume()
    if (end !== 'quick') expect(isFree()).toBe(false)
    if (end === 'reset') stream.close(8)
    if (end === 'session') session.destroy()
    await expect.poll(isFree, { timeout: 60_000 }).toBe(true)
    session.destroy()
  }
})
