import { once } from 'node:events'
import { connect } from 'node:net'
import { rateThrottle } from 'ratethrottle/http'
import { FakeClock } from 'ratethrottle/testing'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { eventually, handshake, open, openMany, openRaw, serve, upgradeRaw } from './servers.ts'

it('a raw client over the limit gets HTTP 429 in full, and no 101', async () => {
  const { port, sockets } = await serve({ connections: '1/hour', clock: new FakeClock() })
  let opened = 0
  sockets.on('connection', () => opened++)
  await openRaw(port)
  const answer = await upgradeRaw(port)
  expect(answer).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/)
  expect(answer).not.toContain(' 101 ')
  expect(answer).toMatch(/\r\nconnection: close\r\n/i)
  expect(answer).toMatch(/\r\nretry-after: 3600\r\n/i)
  expect(answer).toMatch(/\r\nx-ratelimit-limit: 1\r\n/i)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  expect(head).toContain(`content-length: ${Buffer.byteLength(body)}`)
  expect(JSON.parse(body)).toMatchObject({ statusCode: 429, code: 'RATE_LIMIT_EXCEEDED' })
  expect(opened).toBe(1)
})

it('an admitted client sees the headers of the limits in the 101', async () => {
  const { url } = await serve({ connections: '5/minute' })
  const client = new WebSocket(url)
  const [response] = await once(client, 'upgrade')
  expect(response.headers).toMatchObject({ 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '4' })
})

it('exactly as many connections as may be of 200 that come at once, and room again when they close', async () => {
  const { url, sockets } = await serve({ concurrent: 7, connections: '1000/minute' })
  const seen = await openMany(url, 200)
  const clients = seen.filter((one) => one instanceof WebSocket)
  expect(clients.length).toBe(7)
  expect(seen.filter((one) => one === 429).length).toBe(193)
  expect(sockets.clients.size).toBe(7)
  for (const client of clients) client.close()
  await Promise.all(clients.map((client) => once(client, 'close')))
  await eventually(() => sockets.clients.size === 0)
  const again = await openMany(url, 20)
  expect(again.filter((one) => one instanceof WebSocket).length).toBe(7)
})

it('a refusal for want of a permit charges no limit', async () => {
  const { url } = await serve({ concurrent: 1, connections: '3/hour' })
  const first = await open(url)
  for (let i = 0; i < 10; i++) await expect(open(url)).rejects.toThrow('429')
  first.terminate()
  for (let i = 0; i < 2; i++) {
    await eventually(() => first.readyState === WebSocket.CLOSED)
    const client = await retry(() => open(url))
    client.terminate()
  }
  await expect(retry(() => open(url), 20)).rejects.toThrow('429')
})

it('a refusal by a limit holds no permit', async () => {
  const { url, port } = await serve({
    concurrent: 2,
    connections: '1/hour',
    clock: new FakeClock(),
  })
  await open(url)
  for (let i = 0; i < 5; i++) expect(await upgradeRaw(port)).toContain('retry-after: 3600')
})

async function retry<T>(work: () => Promise<T>, times = 3_000): Promise<T> {
  for (let i = 1; i < times; i++) {
    try {
      return await work()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  return work()
}

it.each([
  ['close(1000)', (client: WebSocket) => client.close(1000)],
  ['close without a code', (client: WebSocket) => client.close()],
  ['terminate', (client: WebSocket) => client.terminate()],
  ['an invalid frame', (client: WebSocket) => socketOf(client).write(Buffer.from([0xff, 0xff]))],
  ['a reset', (client: WebSocket) => socketOf(client).resetAndDestroy()],
])('a permit is free however a connection ends: %s', async (_, end) => {
  const { url, sockets } = await serve({ concurrent: 1 })
  sockets.on('connection', (socket) => socket.on('error', () => {}))
  for (let i = 0; i < 3; i++) {
    const client = await retry(() => open(url))
    end(client)
    await eventually(() => sockets.clients.size === 0)
  }
  await expect(retry(() => open(url))).resolves.toBeInstanceOf(WebSocket)
})

function socketOf(client: WebSocket): import('node:net').Socket {
  return (client as unknown as { _socket: import('node:net').Socket })._socket
}

it('handshakes that are broken off, refused by ws or never answered leave no permit', async () => {
  const { port, url } = await serve({ concurrent: 2 })
  for (let i = 0; i < 50; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    // A third breaks off before the request is whole, a third at once after it, and ws answers 400 to the last.
    const text = handshake()
    const sent = [text.slice(0, 60), text, text.replace('Key: d', 'Key: !')][i % 3] as string
    socket.write(sent, () => (i % 3 === 2 ? socket.end() : socket.destroy()))
    await once(socket.resume(), 'close')
  }
  // One that has come in keeps its permit while the other tries again.
  for (let i = 0; i < 2; i++) {
    await expect(retry(() => open(url))).resolves.toBeInstanceOf(WebSocket)
  }
})

it('connections and requests of one scope count together', async () => {
  const http = rateThrottle({ limits: '5/hour', scope: 'both' })
  const { url, port } = await serve(
    { connections: '5/hour', scope: 'both' },
    { http: http.wrap((_, response) => response.end('ok')) },
  )
  const get = async () => (await fetch(`http://127.0.0.1:${port}/`)).status
  expect([await get(), await get(), await get()]).toEqual([200, 200, 200])
  await open(url)
  await open(url)
  await expect(open(url)).rejects.toThrow('429')
  expect(await get()).toBe(429)
  http.close()
})

it('obeying the told wait is admitted', async () => {
  const clock = new FakeClock()
  const { url, port } = await serve({ connections: '1/second', clock })
  await open(url)
  const answer = await upgradeRaw(port)
  const seconds = Number(/retry-after: (\d+)/i.exec(answer)?.[1])
  expect(seconds).toBe(1)
  clock.advance(seconds * 1_000)
  await expect(open(url)).resolves.toBeInstanceOf(WebSocket)
})
