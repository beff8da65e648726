import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { shield } from 'ratethrottle/shield'
import { FakeClock } from 'ratethrottle/testing'
import { socketLimits } from 'ratethrottle/websocket'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { byLength } from '../fixtures/long.ts'
import { eventually, open, openMany, serve, upgradeRaw } from './servers.ts'

function left(client: WebSocket): Promise<unknown> {
  client.close()
  return once(client, 'close')
}

// What RateThrottle for Python has wrong: D70 and D71.

it('D70: 1,000 bytes a minute let 1,000 bytes through, however many messages they are', async () => {
  const { url, sockets } = await serve({
    bytes: '1000/hour',
    messages: '1000/hour',
    clock: new FakeClock(),
    overflow: 'drop',
  })
  let bytes = 0
  sockets.on('connection', (socket) =>
    socket.on('message', (data: Buffer) => (bytes += data.length)),
  )
  const clients = await Promise.all(Array.from({ length: 5 }, () => open(url)))
  for (let i = 0; i < 300; i++) clients[i % 5]?.send(Buffer.alloc(90))
  await Promise.all(clients.map(left))
  expect(bytes).toBe(990)
})

it('D70: fragments and compressed messages cost what they are, whole', async () => {
  const { url, sockets } = await serve(
    { bytes: '1000/hour', overflow: 'drop', clock: new FakeClock() },
    { ws: { perMessageDeflate: { threshold: 0 } } },
  )
  const heard: number[] = []
  sockets.on('connection', (socket) =>
    socket.on('message', (data: Buffer) => heard.push(data.length)),
  )
  const client = await open(url)
  for (const fin of [false, false, true]) client.send('a'.repeat(200), { fin })
  client.send('b'.repeat(400))
  client.send('c')
  client.close()
  await once(client, 'close')
  expect(heard).toEqual([600, 400])
})

it('D71: of 20 that connect at once with room for 3, 3 get in', async () => {
  const { url } = await serve({ concurrent: 3 })
  const seen = await openMany(url, 20)
  expect(seen.filter((one) => one instanceof WebSocket).length).toBe(3)
})

it('D71: clients that are refused leave nothing behind, as unknown ones', async () => {
  const limits = socketLimits({ concurrent: { perKey: 3, total: 1 }, connections: '10/hour' })
  onTestFinished(() => limits.close())
  const request = (i: number) => ({
    headers: {},
    socket: { remoteAddress: `10.1.${i >> 8}.${i & 255}` },
  })
  const socketOf = () => {
    const listeners = new Map<string, () => void>()
    return {
      listeners,
      writable: true,
      on: () => {},
      once: (name: string, listener: () => void) => listeners.set(name, listener),
      removeListener: (name: string) => listeners.delete(name),
      listenerCount: () => 2,
      end: () => {},
      destroy: () => {},
    }
  }
  let admitted = 0
  const upgrade = limits.upgrade(() => admitted++)
  const first = socketOf()
  upgrade(request(0) as never, first as never, Buffer.alloc(0))
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < byLength(10_000, 50_000); i++)
    upgrade(request(i) as never, socketOf() as never, Buffer.alloc(0))
  expect(admitted).toBe(1)
  first.listeners.get('close')?.()
  upgrade(request(7) as never, socketOf() as never, Buffer.alloc(0))
  expect(admitted).toBe(2)
  // Answers that are being written go with this turn.
  await new Promise(setImmediate)
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(5_000_000)
})

it('D71: size is bytes, also of a text, and 40 bytes do not pass a cap of 10', async () => {
  const { url, sockets } = await serve({ maxMessageBytes: 10, overflow: 'drop' })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  const client = await open(url)
  client.send('\u{1f600}'.repeat(10))
  client.send('\u{1f600}'.repeat(2))
  client.close()
  await once(client, 'close')
  expect(heard).toEqual(['\u{1f600}'.repeat(2)])
  const strict = await open((await serve({ maxMessageBytes: 10 })).url)
  strict.send('x'.repeat(11))
  expect((await once(strict, 'close'))[0]).toBe(1009)
})

it('D71: a client over its limit is not muted: the wait that is told is the truth', async () => {
  const waits: number[] = []
  const clock = new FakeClock()
  const { url, sockets } = await serve({
    messages: '2/second',
    clock,
    overflow: 'drop',
    onLimit: ({ retryAfterMs }) => waits.push(retryAfterMs),
  })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  const client = await open(url)
  for (const text of ['1', '2', '3']) client.send(text)
  await eventually(() => waits.length === 1)
  expect(waits[0]).toBeLessThanOrEqual(500)
  clock.advance(waits[0] ?? 0)
  client.send('4')
  await eventually(() => heard.includes('4'))
  expect(heard).toEqual(['1', '2', '4'])
})

it('an insight sees connections and messages, a shield each arrival', async () => {
  const view = insight({ keys: 'plain' })
  const guard = shield({ mode: 'watch' })
  const asked: string[] = []
  const { decide } = guard
  guard.decide = (request) => {
    asked.push(request.ip)
    return decide.call(guard, request)
  }
  const { url, port } = await serve({
    connections: '2/hour',
    messages: '3/hour',
    bytes: '100/hour',
    overflow: 'drop',
    name: 'chat',
    insight: view,
    shield: guard,
  })
  const client = await open(url)
  await open(url)
  expect(await upgradeRaw(port)).toContain(' 429 ')
  for (let i = 0; i < 5; i++) client.send('x')
  client.close()
  await once(client, 'close')
  const rows = Object.fromEntries(
    view.report().limits.map(({ name, admitted, denied }) => [name, [admitted, denied]]),
  )
  expect(rows).toMatchObject({ chat: [2, 1], 'chat messages': [3, 2], 'chat bytes': [3, 0] })
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1'])
  view.close()
  guard.close()
})

it('options that are wrong are named', () => {
  const wrong = (options: object) => () => socketLimits(options)
  expect(wrong({ limits: '5/second' })).toThrow(
    /^unknown option "limits": handshakes have connections/,
  )
  expect(wrong({})).toThrow(/^connections must be given, or concurrent, messages/)
  expect(wrong({ messages: undefined })).toThrow(
    /^messages must be a limit, or left out, got undefined/,
  )
  expect(wrong({ messages: '1/fortnight' })).toThrow(/Invalid limit/)
  expect(wrong({ messages: '1/second', overflow: 'queue' })).toThrow(
    /^overflow must be "pause", "drop" or "close"/,
  )
  expect(wrong({ limits: '1/second' })).toThrow(/^unknown option "limits"/)
  expect(wrong({ messages: '1/second', maxMessageBytes: 0 })).toThrow(/^maxMessageBytes must be/)
  expect(wrong({ concurrent: 0 })).toThrow(/^concurrent/)
  const storage = new RateLimiter('1/second')
  expect(wrong({ messages: '1/second', storage })).toThrow(/^storage must be/)
  storage.close()
})
