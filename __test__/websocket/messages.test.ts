import { once } from 'node:events'
import { FakeClock } from 'ratethrottle/testing'
import { expect, it } from 'vitest'
import { createWebSocketStream, type WebSocket } from 'ws'
import { byLength } from '../fixtures/long.ts'
import { eventually, open, serve } from './servers.ts'

/** All that a server hears from its next client. */
function hearing(sockets: { once(event: 'connection', to: (socket: WebSocket) => void): unknown }) {
  const heard: string[] = []
  sockets.once('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data) => heard.push(String(data)))
  })
  return heard
}

it('pause: all messages arrive in order, at the rate of the limit, also those sent before a close', async () => {
  const rate = byLength(2_000, 20_000)
  const count = byLength(4_000, 100_000)
  const { url, sockets } = await serve({ messages: `${rate}/second` })
  const heard = hearing(sockets)
  const times: number[] = []
  sockets.once('connection', (socket) => socket.on('message', () => times.push(performance.now())))
  const closed = once(sockets, 'connection').then(([socket]) => once(socket, 'close'))
  const client = await open(url)
  for (let i = 0; i < count; i++) client.send(String(i))
  client.close()
  await closed
  expect(heard.length).toBe(count)
  expect(heard.every((text, i) => text === String(i))).toBe(true)
  // After the burst that the bucket holds.
  const ms = (times[count - 1] as number) - (times[0] as number)
  const expected = ((count - rate) * 1_000) / rate
  expect(ms / expected).toBeGreaterThan(0.99)
  // A machine that is busy may be later. The long form is for one that is not.
  expect(ms / expected).toBeLessThan(byLength(Number.POSITIVE_INFINITY, 1.01))
})

it('bytes are charged exactly, as the wire counts them: not a message, and not a character', async () => {
  const events: string[] = []
  const { url, sockets } = await serve({
    bytes: '1000/hour',
    overflow: 'drop',
    clock: new FakeClock(),
    onLimit: ({ reason, action, bytes }) => events.push(`${reason} ${action} ${bytes}`),
  })
  const heard = hearing(sockets)
  const client = await open(url)
  client.send('x'.repeat(600))
  client.send('é'.repeat(201))
  client.send('é'.repeat(200))
  client.send('y')
  client.send('')
  await eventually(() => heard.includes(''))
  expect(heard.map((text) => text.length)).toEqual([600, 200, 0])
  expect(events).toEqual(['bytes drop 402', 'bytes drop 1'])
})

it('close: 1008 and how long to wait; 1009 for a message that no wait helps', async () => {
  const clock = new FakeClock()
  const limits = { messages: '2/minute', bytes: '100/minute', clock }
  const { url } = await serve({ ...limits, overflow: 'close' })
  const client = await open(url)
  for (const text of ['1', '2', '3']) client.send(text)
  const [code, reason] = await once(client, 'close')
  expect([code, String(reason)]).toEqual([1008, 'Rate limit exceeded, retry in 30 seconds'])
  const big = await open((await serve({ bytes: '100/minute' })).url)
  big.send('x'.repeat(101))
  expect((await once(big, 'close'))[0]).toBe(1009)
})

it('a message that one of two limits denies is charged to neither', async () => {
  const { url, sockets } = await serve({
    messages: '4/hour',
    bytes: '100/hour',
    overflow: 'drop',
  })
  const heard = hearing(sockets)
  const client = await open(url)
  client.send('x'.repeat(90))
  for (let i = 0; i < 20; i++) client.send('y'.repeat(50))
  for (const text of ['a', 'b', 'c', 'd']) client.send(text)
  await eventually(() => heard.length >= 4)
  expect(heard.slice(1)).toEqual(['a', 'b', 'c'])
})

it('a stream and an iterator hear the same as a listener', async () => {
  const { url, sockets } = await serve({ messages: '50/second' })
  const chunks: string[] = []
  sockets.once('connection', async (socket) => {
    for await (const chunk of createWebSocketStream(socket, { encoding: 'utf8' }))
      chunks.push(chunk)
  })
  const client = await open(url)
  for (let i = 0; i < 80; i++) client.send(`${i},`)
  client.close()
  await eventually(() => chunks.join('').endsWith('79,'))
  expect(chunks.join('')).toBe(Array.from({ length: 80 }, (_, i) => `${i},`).join(''))
})
