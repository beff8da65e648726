import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { socketLimits } from 'ratethrottle/websocket'
import { Server, type Socket } from 'socket.io'
import { type Socket as Client, io as client } from 'socket.io-client'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { eventually } from './servers.ts'

function serverOf(io: Server): HttpServer {
  return (io as unknown as { httpServer: HttpServer }).httpServer
}

async function serve(
  options: Parameters<typeof socketLimits>[0],
  early?: { readonly pingInterval?: number; readonly pingTimeout?: number },
): Promise<[Server, number]> {
  const limits = socketLimits(options)
  const io = new Server(0, { allowRequest: limits.allowRequest, ...early })
  io.use(limits.socketIo())
  if (early !== undefined) limits.attachEngine(io.engine)
  onTestFinished(async () => {
    await io.close()
    limits.close()
  })
  const server = serverOf(io)
  if (!server.listening) await once(server, 'listening')
  return [io, (server.address() as AddressInfo).port]
}

const HANDSHAKE =
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'

it.each(['destroy', 'resetAndDestroy'] as const)(
  'clients that leave by %s while it is decided about them end neither the process nor their permits',
  async (how) => {
    const [io, port] = await serve({
      concurrent: 10,
      key: async () => pause(10).then(() => 'all'),
    })
    const leave = async (i: number): Promise<void> => {
      const socket = connect(port, '127.0.0.1').on('error', () => {})
      socket.write(HANDSHAKE, () => setTimeout(() => socket[how](), i % 12))
      await once(socket.resume(), 'close')
    }
    for (let i = 0; i < 200; i += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, k) => leave(i + k)))
    }
    const server = serverOf(io)
    let open = 1
    const isAlone = (): boolean => {
      server.getConnections((_, count) => {
        open = count
      })
      return open === 0
    }
    expect(await eventually(isAlone)).toBe(true)
    const clients: Client[] = []
    for (let i = 0; i < 12; i++) {
      clients.push(
        client(`http://127.0.0.1:${port}`, {
          transports: ['websocket'],
          forceNew: true,
          reconnection: false,
        }),
      )
    }
    const outcomes = await Promise.all(
      clients.map((one) =>
        Promise.race([
          new Promise((resolve) => one.once('connect', () => resolve('in'))),
          new Promise((resolve) => one.once('connect_error', () => resolve('out'))),
        ]),
      ),
    )
    expect(outcomes.filter((one) => one === 'in').length).toBe(10)
    for (const one of clients) one.disconnect()
  },
)

it('close: the events that were admitted are heard before the connection ends', async () => {
  const [io, port] = await serve({ messages: '4/hour', overflow: 'close' })
  const heard: unknown[] = []
  io.on('connection', (socket: Socket) => {
    socket.on('m', (value) => heard.push(value)).on('disconnect', () => heard.push('end'))
  })
  const one = client(`http://127.0.0.1:${port}`, {
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  })
  await new Promise<void>((resolve) => one.once('connect', resolve))
  for (let i = 0; i < 9; i++) one.emit('m', i)
  expect(await eventually(() => heard.includes('end'))).toBe(true)
  // Joining the namespace was the first of four.
  expect(heard).toEqual([0, 1, 2, 3, 'end'])
  one.disconnect()
})

it('attachEngine: what a client sends before it has joined a namespace is limited, and a late join is a message', async () => {
  const [io, port] = await serve({ messages: '3/hour', overflow: 'drop' }, {})
  let heard = 0
  io.on('connection', (socket: Socket) => void socket.on('m', () => heard++))
  const url = `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`
  const flooding = new WebSocket(url)
  const got: string[] = []
  flooding.on('message', (data) => got.push(String(data)))
  await once(flooding, 'open')
  for (let i = 0; i < 500; i++) flooding.send('40/unknown,')
  // The first packet of a connection is free, as it is the one that joins.
  const answers = (): number => got.filter((text) => text.startsWith('44/unknown,')).length
  expect(await eventually(() => answers() === 4)).toBe(true)
  flooding.send('40')
  await pause(30)
  expect([answers(), got.some((text) => text.startsWith('40'))]).toEqual([4, false])
  flooding.terminate()
  const other = client(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true })
  await new Promise<void>((resolve) => other.once('connect', resolve))
  other.emit('m')
  await pause(30)
  expect(heard).toBe(0)
  other.disconnect()
})

it('attachEngine: a session of long polling that ends before it joins a namespace gives its permit back', async () => {
  const [io, port] = await serve({ concurrent: 1 }, { pingInterval: 100, pingTimeout: 50 })
  const url = `http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`
  const statusOf = async (): Promise<number> => (await fetch(url)).status
  const ended = new Promise<void>((resolve) => {
    io.engine.on('connection', (engine) => void engine.once('close', () => resolve()))
  })
  expect([await statusOf(), await statusOf()]).toEqual([200, 429])
  await ended
  expect(await statusOf()).toBe(200)
  const { attachEngine } = socketLimits({ concurrent: 1 })
  expect(() => attachEngine(undefined as never)).toThrow('engine must be the engine of a server')
})
