import { once } from 'node:events'
import type { SocketLimitEvent } from 'ratethrottle/websocket'
import { expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { byLength } from '../fixtures/long.ts'
import { serverForTest } from '../redis/server.ts'
import { eventually, open, serve } from './servers.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

it('Redis: messages of two servers share one limit, in order, and none is lost', async () => {
  const { url: storage } = await serverForTest()
  // Long enough for a machine that is busy: past it each process counts for itself.
  const options = {
    messages: '400/second',
    storage,
    name: 'chat',
    deadlineMs: 10_000,
    connectTimeoutMs: 60_000,
  }
  const servers = [await serve(options), await serve(options)]
  await Promise.all(servers.map(({ limits }) => limits.ready()))
  const heard: string[][] = [[], []]
  const count = 400
  const start = performance.now()
  const closed = servers.map(async ({ url, sockets }, i) => {
    sockets.on('connection', (socket) =>
      socket.on('message', (data) => heard[i]?.push(String(data))),
    )
    const connected = once(sockets, 'connection')
    const client = await open(url)
    const [socket] = await connected
    for (const text of numbers(count)) client.send(text)
    client.close()
    await once(socket, 'close')
  })
  await Promise.all(closed)
  expect(heard).toEqual([numbers(count), numbers(count)])
  expect(performance.now() - start).toBeGreaterThan(((1_000 * (2 * count - 400)) / 400) * 0.95)
})

it('Redis: exactly N connections on two servers of 100 that come at once', async () => {
  const { url: storage } = await serverForTest()
  const limits = { concurrent: 5, connections: '1000/minute' }
  const options = { ...limits, storage, name: 'chat', deadlineMs: 10_000, connectTimeoutMs: 60_000 }
  const servers = [await serve(options), await serve(options)]
  await Promise.all(servers.map(({ limits }) => limits.ready()))
  const seen = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      open(servers[i % 2]?.url as string).catch((error) => Number(error.message)),
    ),
  )
  expect(seen.filter((one) => one !== 429).length).toBe(5)
})

it('a program that pauses and resumes the socket hears all in order, and no more than it wants', async () => {
  const { url, sockets } = await serve({ messages: '1000/second' })
  const heard: string[] = []
  let whilePaused = 0
  sockets.on('connection', (socket) => {
    let isPaused = false
    socket.on('message', (data) => {
      if (isPaused && socket.isPaused) whilePaused++
      heard.push(String(data))
      if (heard.length % 700 !== 0) return
      socket.pause()
      isPaused = true
      setTimeout(() => {
        isPaused = false
        socket.resume()
      }, 20)
    })
  })
  const client = await open(url)
  for (const text of numbers(1_500)) client.send(text)
  await eventually(() => heard.length === 1_500)
  expect(heard).toEqual(numbers(1_500))
  expect(whilePaused).toBeLessThan(1_500)
})

it('a listener that throws loses no message after the one it threw at', async () => {
  const { url, sockets } = await serve({ messages: '20/second' })
  const heard: string[] = []
  const thrown: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => thrown.push(error))
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => {
      heard.push(String(data))
      if (String(data) === '25') throw new Error('of the program')
    }),
  )
  const client = await open(url)
  for (const text of numbers(30)) client.send(text)
  await eventually(() => heard.length === 30)
  process.removeAllListeners('uncaughtException')
  for (const other of others) process.on('uncaughtException', other)
  expect(heard).toEqual(numbers(30))
  expect(thrown).toMatchObject([{ message: 'of the program' }])
})

it('all ways to listen hear each message once, whenever they begin', async () => {
  const { url, sockets } = await serve({ messages: '50/second' })
  const heard = { on: 0, add: 0, property: 0, late: 0 }
  const add = (name: keyof typeof heard) => () => {
    heard[name]++
  }
  sockets.on('connection', (socket: WebSocket) => {
    socket.on('message', add('on'))
    socket.addEventListener('message', add('add'))
    socket.onmessage = add('property')
    // When the limit has let as many through as it does at once.
    socket.on('message', () => {
      if (heard.on === 50) setImmediate(() => socket.on('message', add('late')))
    })
  })
  const client = await open(url)
  for (const text of numbers(60)) client.send(text)
  await eventually(() => heard.on === 60)
  expect(heard).toMatchObject({ on: 60, add: 60, property: 60 })
  expect(heard.late).toBeGreaterThan(0)
})

it('per connection and by message key: budgets of their own', async () => {
  const run = async (options: object): Promise<string[]> => {
    const { url, sockets } = await serve({ messages: '2/hour', overflow: 'drop', ...options })
    const heard: string[] = []
    sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
    const clients = [await open(url), await open(url)]
    for (const text of ['a1', 'a2', 'a3', 'b1']) clients[0]?.send(text)
    // They come in order: what was sent before the ping has been decided about.
    clients[0]?.ping()
    await once(clients[0] as WebSocket, 'pong')
    for (const text of ['a4', 'b2', 'b3']) clients[1]?.send(text)
    for (const client of clients) client.close()
    await Promise.all(clients.map((client) => once(client, 'close')))
    return heard
  }
  expect(await run({})).toEqual(['a1', 'a2'])
  expect(await run({ per: 'connection' })).toEqual(['a1', 'a2', 'a4', 'b2'])
  const messageKey = ({ data }: { data: unknown }) => String(data)[0]
  expect(await run({ messageKey })).toEqual(['a1', 'a2', 'b1', 'b2'])
})

it('a dry run delivers and admits all, and says what it would have done', async () => {
  const events: SocketLimitEvent['action'][] = []
  const { url, sockets } = await serve({
    connections: '1/hour',
    concurrent: 1,
    messages: '2/hour',
    dryRun: true,
    onLimit: ({ action }) => events.push(action),
  })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  await open(url)
  const client = await open(url)
  for (const text of ['1', '2', '3']) client.send(text)
  await eventually(() => heard.length === 3)
  expect([heard, events]).toEqual([['1', '2', '3'], ['none']])
})

it('a closed limiter refuses connections with 500 and closes others with 1011', async () => {
  const { url, limits } = await serve({
    connections: '9/hour',
    messages: '9/hour',
    onError: () => {},
  })
  const client = await open(url)
  limits.close()
  client.send('x')
  expect((await once(client, 'close'))[0]).toBe(1011)
  await expect(open(url)).rejects.toThrow('500')
})

it('heavy: many clients at once, each in order, none lost', async () => {
  const count = byLength(300, 5_000)
  const { url, sockets } = await serve({ messages: `${count}/second`, bytes: '100000000/second' })
  const heard = new Map<string, number>()
  let wrong = 0
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => {
      const [who = '', number = ''] = String(data).split(' ')
      if ((heard.get(who) ?? 0) !== Number(number)) wrong++
      heard.set(who, Number(number) + 1)
    }),
  )
  const clients = await Promise.all(Array.from({ length: 10 }, () => open(url)))
  const per = (count * 2) / 10
  for (let i = 0; i < per; i++) clients.forEach((client, who) => void client.send(`${who} ${i}`))
  await eventually(() => [...heard.values()].reduce((sum, n) => sum + n, 0) === count * 2)
  expect([wrong, heard.size, new Set(heard.values())]).toEqual([0, 10, new Set([per])])
})
