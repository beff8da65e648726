import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { socketLimits } from 'ratethrottle/websocket'
import { Server, type Socket } from 'socket.io'
import { type Socket as Client, io as client } from 'socket.io-client'
import { expect, it, onTestFinished } from 'vitest'
import { eventually } from './servers.ts'

function serverOf(io: Server): HttpServer {
  return (io as unknown as { httpServer: HttpServer }).httpServer
}

async function serve(options: Parameters<typeof socketLimits>[0]): Promise<[Server, number]> {
  const limits = socketLimits(options)
  const io = new Server(0, { allowRequest: limits.allowRequest })
  io.use(limits.socketIo())
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
