import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { socketLimits } from 'ratethrottle/websocket'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { eventually, open, openMany, openRaw, serve } from './servers.ts'

/** A frame of a client: text of less than 126 bytes, masked with zeros. */
function frame(text: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x81, 0x80 | text.length]),
    Buffer.alloc(4),
    Buffer.from(text),
  ])
}

/** Three clients whose messages wait; each sends so many more, which are not read, and leaves. */
async function leaveWaiting(more: number): Promise<void> {
  const lost: string[] = []
  const { port, url, sockets } = await serve({
    messages: '1/hour',
    concurrent: 3,
    per: 'connection',
    onLimit: ({ reason }) => lost.push(reason),
  })
  const heard: string[] = []
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => heard.push(String(data))).on('error', () => {})
  })
  const clients = await Promise.all(Array.from({ length: 3 }, () => openRaw(port)))
  for (const client of clients) client.resume().write(Buffer.concat([frame('a'), frame('b')]))
  expect(await eventually(() => lost.length === 3)).toBe(true)
  const unread = Buffer.concat(Array.from({ length: more }, () => frame('x'.repeat(100))))
  for (const client of clients) client.write(unread)
  await pause(50)
  expect((await openMany(url, 1))[0]).toBe(429)
  for (const client of clients) client.destroy()
  expect(await eventually(() => sockets.clients.size === 0)).toBe(true)
  const seen = await openMany(url, 4)
  expect(seen.filter((one) => one instanceof WebSocket).length).toBe(3)
  expect(heard).toEqual(['a', 'a', 'a'])
  expect(lost.filter((reason) => reason === 'lost').length).toBe(3)
}

it('clients that leave while messages wait unread, a few or very many, give their permits back', async () => {
  await Promise.all([leaveWaiting(3), leaveWaiting(40_000)])
})

it('a client that waits and stays hears pongs, and loses nothing', async () => {
  const { url, sockets } = await serve({ messages: '1/3s' })
  const heard: string[] = []
  sockets.on('connection', (socket) => socket.on('message', (data) => heard.push(String(data))))
  const client = await open(url)
  let pongs = 0
  client.on('pong', () => pongs++)
  for (const text of ['a', 'b']) client.send(text)
  expect(await eventually(() => heard.length === 2)).toBe(true)
  expect(heard).toEqual(['a', 'b'])
  expect(pongs).toBeGreaterThan(0)
  client.terminate()
})

it('close ends waits: the connections of those messages are closed with 1011', async () => {
  const { url, limits } = await serve({ messages: '1/hour' })
  const client = await open(url)
  client.send('a')
  client.send('b')
  await pause(50)
  const closed = once(client, 'close')
  limits.close()
  expect((await closed)[0]).toBe(1011)
})

it('attach without the request, and options without a limit, say what is missing', () => {
  const limits = socketLimits({ messages: '1/second' })
  const socket = new WebSocket('ws://127.0.0.1:1').on('error', () => {})
  const attach = limits.attach as (...args: unknown[]) => unknown
  for (const args of [[socket], [socket, {}], [socket, null], [socket, { raw: undefined }]]) {
    expect(() => attach(...args)).toThrow(/^request must be the request that was upgraded, got /)
  }
  expect(() => socketLimits({ message: 'Slow down' })).toThrow(/, or concurrent, messages, bytes, /)
  limits.close()
})
