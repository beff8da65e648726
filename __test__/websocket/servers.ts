import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { socketLimits } from 'ratethrottle/websocket'
import { onTestFinished } from 'vitest'
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { PATIENCE } from '../fixtures/patience.ts'

type Options = Parameters<typeof socketLimits>[0]

/** A server of ws behind limits. */
export interface Limited {
  readonly limits: ReturnType<typeof socketLimits>
  readonly sockets: WebSocketServer
  readonly server: Server
  readonly port: number
  readonly url: string
}

/** Serves until the test ends. */
export async function serve(
  options: Options,
  { ws = {}, http }: { ws?: ServerOptions; http?: RequestListener } = {},
): Promise<Limited> {
  const limits = socketLimits(options)
  const sockets = new WebSocketServer({ ...ws, noServer: true })
  const server = createServer(http)
  server.on('upgrade', limits.upgrade(sockets))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
    server.closeAllConnections()
    server.close()
    limits.close()
  })
  const { port } = server.address() as AddressInfo
  return { limits, sockets, server, port, url: `ws://127.0.0.1:${port}` }
}

/** A client that is connected; rejects with the status of a refusal. */
export async function open(url: string, options: ClientOptions = {}): Promise<WebSocket> {
  const client = new WebSocket(url, options)
  client.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    client.once('open', resolve)
    client.once('unexpected-response', (_, response) => {
      response.resume()
      client.terminate()
      reject(new Error(`${response.statusCode}`))
    })
    client.once('error', reject)
  })
  return client
}

/** 101, or the status of a refusal, of many clients that connect at the same time. The clients stay. */
export async function openMany(
  url: string,
  count: number,
): Promise<readonly (WebSocket | number)[]> {
  return Promise.all(
    Array.from({ length: count }, () => open(url).catch((error) => Number(error.message))),
  )
}

/** What a raw client gets in answer to a request to upgrade, until the server ends the connection. */
export async function upgradeRaw(port: number, path = '/'): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(handshake(path))
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

/** The request of a handshake. */
export function handshake(path = '/', headers = ''): string {
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
  return `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}${headers}\r\n`
}

/** A frame of a client: text, masked with zeros. */
export function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 255])
  return Buffer.concat([Buffer.from([0x81]), length, Buffer.alloc(4), payload])
}

/** A raw connection that is upgraded. */
export async function openRaw(port: number, headers = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(handshake('/', headers))
  await once(socket, 'data')
  return socket
}

/** Whether it becomes true, however slow the machine is. */
export async function eventually(check: () => boolean, ms = PATIENCE): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    if (check()) return true
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return check()
}
