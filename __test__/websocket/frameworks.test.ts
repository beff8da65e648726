import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { FakeClock } from 'ratethrottle/testing'
import { type SocketLimitEvent, socketLimits } from 'ratethrottle/websocket'
import { Server } from 'socket.io'
import { io as connect, type Socket } from 'socket.io-client'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { byLength } from '../fixtures/long.ts'
import { eventually, open } from './servers.ts'

type Options = Parameters<typeof socketLimits>[0]

async function serveFastify(options: Options, plugin?: string) {
  const limits = socketLimits(options)
  const app = Fastify()
  await app.register(websocket)
  // After it: of a request that is refused before its hook has run, it does not end the connection.
  if (plugin !== undefined) await app.register(rateThrottle, { limits: plugin })
  const heard: string[] = []
  let handled = 0
  app.get('/', { websocket: true }, async (socket, request) => {
    if (!(await limits.attach(socket, request))) return
    handled++
    socket.on('message', (data) => heard.push(String(data)))
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(async () => {
    await app.close()
    limits.close()
  })
  const { port } = app.server.address() as AddressInfo
  return { limits, heard, url: `ws://127.0.0.1:${port}`, handled: () => handled }
}

it('@fastify/websocket: exactly N handlers of 200 that connect at once, the others are closed with 1008', async () => {
  const { url, handled } = await serveFastify({ concurrent: 6, connections: '500/minute' })
  const codes: (number | undefined)[] = []
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const client = new WebSocket(url)
      client.on('error', () => {})
      client.on('close', (code) => {
        codes[i] = code
      })
      await once(client, 'open')
    }),
  )
  await eventually(() => codes.filter(Boolean).length === 194)
  expect(codes.filter((code) => code === 1008).length).toBe(194)
  expect(codes.filter(Boolean).length).toBe(194)
  expect(handled()).toBe(6)
})

it('@fastify/websocket: what comes before the handler listens is not lost, and limited', async () => {
  const { url, heard } = await serveFastify({ messages: '50/second' })
  const client = await open(url)
  for (let i = 0; i < 75; i++) client.send(String(i))
  client.close()
  expect(await eventually(() => heard.length === 75)).toBe(true)
  expect(heard).toEqual(Array.from({ length: 75 }, (_, i) => String(i)))
})

it('@fastify/websocket: the plugin answers 429 before the handshake', async () => {
  const { url } = await serveFastify({ messages: '50/second' }, '1/hour')
  await open(url)
  await expect(open(url)).rejects.toThrow('429')
})

/** A server of socket.io that keeps what its clients emit. */
async function serveIo(options: Options, withAllowRequest = true) {
  const limits = socketLimits(options)
  const server = createServer()
  const io = new Server(server, withAllowRequest ? { allowRequest: limits.allowRequest } : {})
  io.use(limits.socketIo())
  const heard: unknown[] = []
  io.on('connection', (socket) => {
    socket.onAny((_, value) => heard.push(value))
    socket.on('ask', (value, answer) => answer({ value }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    await io.close()
    limits.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const join = (transports: ('websocket' | 'polling')[] = ['websocket']): Socket => {
    const client = connect(url, { transports, reconnection: false, forceNew: true })
    onTestFinished(() => void client.disconnect())
    return client
  }
  return { limits, io, url, heard, join }
}

type Joined = 'open' | { data?: unknown; message: string; description?: unknown; context?: unknown }

function joined(client: Socket): Promise<Joined> {
  return new Promise((resolve) => {
    client.once('connect', () => resolve('open'))
    client.once('connect_error', (error) => resolve(error))
  })
}

it.each([['websocket'], ['polling']] as const)(
  'socket.io: allowRequest lets exactly N in of many, by %s, and N again when they left',
  async (transport) => {
    const { join, io } = await serveIo({ concurrent: 4 })
    for (let round = 0; round < 2; round++) {
      const clients = Array.from({ length: byLength(40, 200) }, () => join([transport]))
      const seen = await Promise.all(clients.map(joined))
      expect(seen.filter((one) => one === 'open').length).toBe(4)
      for (const client of clients) client.disconnect()
      expect(await eventually(() => io.engine.clientsCount === 0)).toBe(true)
    }
  },
)

it('socket.io: a refused session gets 429 before the handshake', async () => {
  const { url, join } = await serveIo({ connections: '1/hour', clock: new FakeClock() })
  expect(await joined(join())).toBe('open')
  const polling = await fetch(`${url}/socket.io/?EIO=4&transport=polling`)
  expect(polling.status).toBe(429)
  expect(polling.headers.get('retry-after')).toBe('3600')
  expect(await polling.json()).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' })
  const ws = `${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
  await expect(open(ws)).rejects.toThrow('429')
})

it('socket.io: without allowRequest a refused client gets connect_error with data', async () => {
  const { join, io } = await serveIo({ connections: '1/hour', clock: new FakeClock() }, false)
  expect(await joined(join())).toBe('open')
  const refused = await joined(join())
  expect(refused).toMatchObject({ data: { code: 'RATE_LIMIT_EXCEEDED', retryAfter: 3600 } })
  expect(await eventually(() => io.engine.clientsCount === 1)).toBe(true)
})

it('socket.io, drop: an event over the limit reaches no listener, and is answered with an error', async () => {
  const { join, heard } = await serveIo({
    messages: '4/hour',
    overflow: 'drop',
    clock: new FakeClock(),
  })
  const client = join()
  expect(await joined(client)).toBe('open')
  const answers = []
  for (let i = 0; i < 5; i++) answers.push(await client.timeout(60_000).emitWithAck('ask', i))
  expect(answers.slice(0, 4)).toEqual([0, 1, 2, 3].map((value) => ({ value })))
  expect(answers[4]).toEqual({ error: { code: 'RATE_LIMIT_EXCEEDED', retryAfter: 900 } })
  expect(heard).toEqual([0, 1, 2, 3])
})

it.each([['websocket'], ['polling']] as const)(
  'socket.io, pause: nothing is lost and order is kept, binary parts with their packets, by %s',
  async (transport) => {
    const events: SocketLimitEvent[] = []
    const onLimit = (event: SocketLimitEvent) => events.push(event)
    const { join, heard } = await serveIo({ messages: '100/second', onLimit })
    const client = join([transport])
    expect(await joined(client)).toBe('open')
    for (let i = 0; i < 150; i++) client.emit('x', i % 10 === 0 ? Buffer.from([i]) : i)
    expect(await eventually(() => heard.length === 150)).toBe(true)
    const numbers = heard.map((one) => (Buffer.isBuffer(one) ? one[0] : one))
    expect(numbers).toEqual(Array.from({ length: 150 }, (_, i) => i))
    expect(events.some(({ reason, action }) => reason === 'messages' && action === 'pause')).toBe(
      true,
    )
  },
)

it('socket.io, close and bytes: the connection ends', async () => {
  const { join, heard } = await serveIo({ bytes: '200/hour', overflow: 'close' })
  const client = join()
  expect(await joined(client)).toBe('open')
  const ended = once(client as never, 'disconnect')
  client.emit('x', 'y'.repeat(100))
  client.emit('x', 'z'.repeat(100))
  await ended
  expect(heard).toEqual(['y'.repeat(100)])
})
