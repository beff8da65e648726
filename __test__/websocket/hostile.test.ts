import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { socketLimits } from 'ratethrottle/websocket'
import { Server } from 'socket.io'
import { expect, it, onTestFinished, test } from 'vitest'
import { Connections } from '../../dist/adapters/websocket/connections.js'
import { engineGates } from '../../dist/adapters/websocket/engine.js'
import { Admission } from '../../dist/adapters/websocket/handshake.js'
import { Held } from '../../dist/adapters/websocket/held.js'
import { Assembly } from '../../dist/adapters/websocket/packets.js'
import { open, serve } from './servers.ts'

type Options = Parameters<typeof socketLimits>[0]

async function serveIo(options: Options): Promise<{ io: Server; port: number }> {
  const limits = socketLimits(options)
  const server = createServer()
  const io = new Server(server, { allowRequest: limits.allowRequest })
  io.use(limits.socketIo())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    await io.close()
    limits.close()
  })
  return { io, port: (server.address() as AddressInfo).port }
}

/** One request of long polling, on a connection of its own. */
async function poll(port: number, query: string, headers = {}, packet?: string) {
  const path = `/socket.io/?EIO=4&transport=polling${query}`
  const method = packet === undefined ? 'GET' : 'POST'
  const asked = request({ port, host: '127.0.0.1', path, method, headers, agent: false })
  asked.end(packet)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const part of answer) text += part
  return { status: answer.statusCode, text }
}

it('socket.io: a header that asks for another protocol does not make long polling a WebSocket', async () => {
  const { io, port } = await serveIo({ concurrent: 2 })
  const statuses: unknown[] = []
  for (let i = 0; i < 5; i++) {
    const { status, text } = await poll(port, '', { upgrade: 'x' })
    statuses.push(status)
    if (status !== 200) continue
    const { sid } = JSON.parse(text.slice(1)) as { sid: string }
    await poll(port, `&sid=${sid}`, {}, '40')
  }
  // A permit of a session is not that of the connection that its first request came by, which has closed.
  expect(statuses).toEqual([200, 200, 429, 429, 429])
  expect(io.engine.clientsCount).toBe(2)
})

const OVER = { once: () => {}, removeListener: () => {} }
const arrival = () => ({ headers: {}, socket: { remoteAddress: '192.0.2.1' } }) as IncomingMessage

/** One more session that begins. */
function admitted(connections: Connections, asked: IncomingMessage): Promise<Admission> {
  return new Promise((resolve) => {
    connections.decide(asked, OVER as never, () => {}, resolve)
  })
}

it('socket.io: a session that joins a namespace after its permit has ended is decided about again', async () => {
  const connections = new Connections({ concurrent: 1 })
  onTestFinished(() => connections.close())
  const gates = engineGates(connections)
  const late = arrival()
  gates.expect(late, await admitted(connections, late), 1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(await admitted(connections, arrival())).toBeInstanceOf(Admission)
  const engine = { request: late, readyState: 'open', ...OVER, emit: () => true, close: () => {} }
  expect(await gates.enter(engine as never)).toMatchObject({ reason: 'perKey' })
})

it('socket.io: a session that has joined a namespace keeps its permit until it ends', async () => {
  const connections = new Connections({ concurrent: 1 })
  onTestFinished(() => connections.close())
  const gates = engineGates(connections)
  const asked = arrival()
  gates.expect(asked, await admitted(connections, asked), 10)
  let end = (): void => {}
  const once = (_: string, closed: () => void): void => {
    end = closed
  }
  const engine = { request: asked, readyState: 'open', once, emit: () => true, close: () => {} }
  expect(await gates.enter(engine as never)).toBeUndefined()
  await new Promise((resolve) => setTimeout(resolve, 40))
  const tryAnother = () => connections.handshake.decide(arrival(), { onEnd: () => {} } as never)
  expect(await tryAnother()).toMatchObject({ reason: 'perKey' })
  end()
  expect(await tryAnother()).toBeInstanceOf(Admission)
})

it('socket.io: a packet of any number of empty parts is not kept', () => {
  let parts = 0
  let most = 0
  const assembly = new Assembly(({ events }) => {
    parts += events.length / 2
    most = Math.max(most, events.length)
  })
  assembly.add('5999999999-["x"]')
  for (let i = 0; i < 200_000; i++) assembly.add(Buffer.alloc(0))
  expect(most).toBeLessThan(100_000)
  expect(parts).toBeGreaterThan(150_000)
})

test('what waits is weighed with all its parts', () => {
  const held = new Held<{ bytes: number; events: readonly unknown[] }>()
  held.push({ bytes: 1, events: [1, 2, 3, 4] })
  expect(held.bytes).toBeGreaterThan(1_000)
  held.push({ bytes: 5, events: [1] })
  held.shift()
  held.shift()
  expect(held.bytes).toBe(0)
})

it('a messageKey that answers late is reported, and what it rejects with ends no process', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  onTestFinished(() => void process.off('unhandledRejection', note))
  const reported: unknown[] = []
  const messageKey = async (): Promise<string> => {
    throw new Error('no')
  }
  const { url, sockets } = await serve({
    messages: '10/hour',
    onError: ({ error }) => void reported.push(error),
    messageKey: messageKey as never,
  })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
  const client = await open(url)
  client.send('hello')
  await once(client, 'message')
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(unhandled).toEqual([])
  expect(String(reported[0])).toContain('messageKey must return')
})

it('a messageKey that makes a key of any length has messages count by the client', async () => {
  const reported: unknown[] = []
  const { url, sockets } = await serve({
    messages: '2/hour',
    overflow: 'close',
    onError: ({ error }) => void reported.push(error),
    messageKey: ({ data }) => `${data}`.repeat(2 ** 20),
  })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  const client = await open(url)
  for (const text of ['ab', 'cd', 'ef']) client.send(text)
  await once(client, 'close')
  expect(heard).toEqual(['ab', 'cd'])
  expect(String(reported[0])).toContain('a text of up to 1048576 characters')
})

it('a dry run has no connection wait for a permit', async () => {
  const denied: unknown[] = []
  const { url } = await serve({
    concurrent: { perKey: 1, queue: 5, maxWaitMs: 600_000 },
    dryRun: true,
    onDeny: ({ dryRun }) => void denied.push(dryRun),
  })
  await open(url)
  await open(url)
  expect(denied).toEqual([true])
})

test.each([
  [{ connections: '1/second', overflow: 'drop' }, 'overflow'],
  [{ concurrent: 1, onLimit: () => {} }, 'onLimit'],
  [{ maxMessageBytes: 1, per: 'connection' }, 'per'],
  [{ maxMessageBytes: 1, messageKey: () => 'a' }, 'messageKey'],
  [{ messages: '1/second', burst: 2 }, 'burst'],
  [{ messages: '1/second', blockFor: '1 minute' }, 'blockFor'],
] as const)('an option that would do nothing is refused: %#', (options, name) => {
  const make = () => socketLimits(options as never)
  expect(make).toThrow(new RegExp(`^${name} must be given together with `))
})
