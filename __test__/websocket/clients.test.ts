import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import { socketLimits } from 'ratethrottle/websocket'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { eventually, handshake, open, openMany, serve } from './servers.ts'

/** Asks limits about connections of made-up clients: whether each is admitted. */
function asker(options: Parameters<typeof socketLimits>[0]) {
  const limits = socketLimits(options)
  onTestFinished(() => limits.close())
  let admitted = 0
  const upgrade = limits.upgrade(() => admitted++)
  const socket = { writable: true, on() {}, once() {}, removeListener() {}, end() {}, destroy() {} }
  return (remoteAddress: string, headers: object = {}): boolean => {
    const before = admitted
    const request = { headers, socket: { remoteAddress } }
    upgrade(request as never, { ...socket, listenerCount: () => 0 } as never, Buffer.alloc(0))
    return admitted > before
  }
}

it('a client is its address, of IPv6 its network, and behind a trusted proxy the one that it names', () => {
  const ask = asker({ connections: '1/hour', trust: '10.0.0.0/8' })
  expect(ask('2001:db8::1')).toBe(true)
  expect(ask('2001:db8::2')).toBe(false)
  expect(ask('2001:db8:0:1::1')).toBe(true)
  expect(ask('::ffff:192.0.2.1')).toBe(true)
  expect(ask('192.0.2.1', { 'x-forwarded-for': '198.51.100.9' })).toBe(false)
  expect(ask('10.1.1.1', { 'x-forwarded-for': '198.51.100.7' })).toBe(true)
  expect(ask('10.1.1.1', { 'x-forwarded-for': '203.0.113.5, 198.51.100.7' })).toBe(false)
})

it('allow exempts from all limits, deny refuses with 403', async () => {
  const { url, sockets } = await serve({
    allow: '127.0.0.0/8',
    connections: '1/hour',
    concurrent: 1,
    messages: '1/hour',
    overflow: 'drop',
  })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  const [client] = [await open(url), await open(url), await open(url)]
  for (const text of ['1', '2', '3']) client?.send(text)
  await eventually(() => heard.length === 3)
  expect(heard).toEqual(['1', '2', '3'])
  await expect(open((await serve({ deny: '127.0.0.1', concurrent: 1 })).url)).rejects.toThrow('403')
})

it('connections wait in the queue of permits, and clients that leave give their places up', async () => {
  const { url, port, server } = await serve({
    concurrent: { perKey: 1, queue: 3, maxWaitMs: 600_000 },
  })
  const first = await open(url)
  const [came, left]: [string[], string[]] = [[], []]
  server.prependListener('upgrade', (_, socket) => {
    came.push('one')
    socket.once('close', () => left.push('one'))
  })
  const gone = Array.from({ length: 3 }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.write(handshake())
    return socket
  })
  expect(await eventually(() => came.length === 3)).toBe(true)
  await expect(open(url)).rejects.toThrow('429')
  expect(await eventually(() => left.length === 1)).toBe(true)
  // A FIN, a FIN, and a reset.
  gone[0]?.end()
  gone[1]?.destroy()
  gone[2]?.resetAndDestroy()
  expect(await eventually(() => left.length === 4)).toBe(true)
  const waiting = Array.from({ length: 3 }, () => open(url))
  const isRefused = Promise.any(
    waiting.map((one) =>
      one.then(
        () => Promise.reject(),
        () => true,
      ),
    ),
  )
  expect(await Promise.race([isRefused.catch(() => false), pause(100)])).toBe(undefined)
  first.close()
  const second = await Promise.race(waiting)
  // Data that comes at once, while the program listens already.
  second.send('x')
  expect(second.readyState).toBe(WebSocket.OPEN)
})

it('what a client sends before it hears that it is admitted is not lost', async () => {
  const { port, sockets } = await serve({
    connections: '9/hour',
    key: () => pause(50).then(() => 'a'),
  })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  const socket = connect(port, '127.0.0.1')
  const frame = (text: string) =>
    Buffer.concat([Buffer.from([0x81, 0x81]), Buffer.alloc(4), Buffer.from(text)])
  socket.write(Buffer.concat([Buffer.from(handshake()), frame('1')]))
  await pause(20)
  socket.write(frame('2'))
  await eventually(() => heard.length === 2)
  expect(heard).toEqual(['1', '2'])
  socket.destroy()
})

it('a server that would upgrade by itself is refused', () => {
  const limits = socketLimits({ concurrent: 1 })
  const sockets = new WebSocketServer({ server: createServer() })
  expect(() => limits.upgrade(sockets)).toThrow(
    /^upgrade must be a WebSocketServer that was made with noServer/,
  )
  expect(() => limits.upgrade({} as never)).toThrow(/^upgrade must be a WebSocketServer of ws/)
  expect(() => limits.attach({} as never, {} as never)).toThrow(/^socket must be a WebSocket of ws/)
  sockets.close()
  limits.close()
})

it('injectWS of @fastify/websocket: a client without a connection is one, too', async () => {
  const limits = socketLimits({ concurrent: 1, messages: '2/hour', overflow: 'drop' })
  const app = Fastify()
  await app.register(websocket)
  const heard: string[] = []
  app.get('/', { websocket: true }, async (socket, request) => {
    if (await limits.attach(socket, request))
      socket.on('message', (data) => heard.push(String(data)))
  })
  await app.ready()
  const client = await app.injectWS('/')
  await pause(20)
  for (const text of ['1', '2', '3']) client.send(text)
  await eventually(() => heard.length === 2)
  expect(heard).toEqual(['1', '2'])
  client.terminate()
  await app.close()
  limits.close()
})

it('limits of this host are shared by name, permits included', async () => {
  const storage = `shared:websocket-test-${process.pid}`
  const options = { connections: '1000/hour', concurrent: 4, name: 'chat', storage }
  const servers = [await serve(options), await serve(options)]
  const seen = (await Promise.all(servers.map(({ url }) => openMany(url, 30)))).flat()
  expect(seen.filter((one) => one instanceof WebSocket).length).toBe(4)
})

it('a refused connection is told why by attach, in at most 123 bytes', async () => {
  const limits = socketLimits({ connections: '1/hour', message: 'é'.repeat(200) })
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  const admitted: unknown[] = []
  sockets.on('connection', (socket, request) => admitted.push(limits.attach(socket, request)))
  await once(sockets, 'listening')
  const url = `ws://127.0.0.1:${(sockets.address() as { port: number }).port}`
  await open(url)
  const refused = await open(url)
  const [code, reason] = await once(refused, 'close')
  expect([code, String(reason)]).toEqual([1008, 'é'.repeat(61)])
  expect(admitted).toEqual([true, false])
  for (const socket of sockets.clients) socket.terminate()
  sockets.close()
  limits.close()
})
