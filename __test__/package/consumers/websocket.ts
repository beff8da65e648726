import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type SocketLimitEvent, socketLimits } from 'ratethrottle/websocket'
import { WebSocket, WebSocketServer } from 'ws'

const over: SocketLimitEvent['reason'][] = []
const limits = socketLimits({
  connections: '1/minute',
  messages: '2/second',
  onLimit: ({ reason }) => over.push(reason),
})
const sockets = new WebSocketServer({ noServer: true })
const server = createServer()
server.on('upgrade', limits.upgrade(sockets))

async function main(): Promise<void> {
  const heard: string[] = []
  const all = new Promise<void>((resolve) => {
    sockets.on('connection', (socket) =>
      socket.on('message', (data) => {
        if (heard.push(String(data)) === 3) resolve()
      }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new WebSocket(url)
  await once(client, 'open')
  for (const text of ['0', '1', '2']) client.send(text)
  const refused = new WebSocket(url)
  const [, response] = await once(refused, 'unexpected-response')
  refused.on('error', () => {})
  refused.terminate()
  await all
  if (over.join() !== 'messages') throw new Error(over.join())
  console.log(['open', response.statusCode, ...heard].join(' '))
  client.terminate()
  sockets.close()
  server.close()
  limits.close()
}

void main()
