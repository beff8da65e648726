// A server whose client floods it for some seconds, by 1 MiB at a time, as fast as the connection takes it. Prints
// what the client could write, what the server heard, and how much memory the server took on more than before.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { socketLimits } from 'ratethrottle/websocket'
import { WebSocketServer } from 'ws'

const [, , ms = '1000', overflow = 'pause', role = 'client'] = process.argv

if (role === 'server') {
  const limits = socketLimits({ messages: '1000/second', overflow })
  const sockets = new WebSocketServer({ noServer: true })
  let heard = 0
  let raw
  sockets.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', () => heard++)
    raw = socket._socket
  })
  const server = createServer()
  server.on('upgrade', limits.upgrade(sockets))
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  let most = 0
  const before = () => process.memoryUsage().rss
  const first = before()
  setInterval(() => {
    most = Math.max(most, before() - first)
  }, 10)
  process.on('message', () => process.send({ heard, most, read: raw.bytesRead }))
} else {
  const server = fork(process.argv[1], [ms, overflow, 'server'])
  const [{ port }] = await once(server, 'message')
  const client = connect(port, '127.0.0.1')
  client.on('error', () => {})
  client.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  )
  await once(client, 'data')
  const frame = Buffer.concat([Buffer.from([0x82, 0x80 | 100]), Buffer.alloc(104)])
  const chunk = Buffer.concat(Array.from({ length: 10_000 }, () => frame))
  const end = performance.now() + Number(ms)
  let written = 0
  // A busy machine takes longer until the connection has taken a chunk.
  const isOver = () => performance.now() >= end && (overflow === 'pause' || written > 0)
  while (!isOver() && client.writable) {
    const drained = new Promise((resolve) => client.write(chunk, resolve))
    await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 50))])
    while (client.writableLength > 0 && !isOver()) await new Promise((r) => setTimeout(r, 5))
    if (client.writableLength === 0) written += chunk.length
  }
  let figures = { heard: 0 }
  // And until the server has heard what the limit lets through at once.
  for (let asked = 0; asked < 5_000 && figures.heard < 1_000; asked++) {
    await new Promise((r) => setTimeout(r, 5))
    server.send('figures')
    figures = (await once(server, 'message'))[0]
  }
  console.log(JSON.stringify({ written, ...figures }))
  server.kill('SIGKILL')
  client.destroy()
}
