// A chat whose clients connect and write no more than they may. Needs ws. Run it: PORT=3000 node examples/websocket.mjs
import { createServer } from 'node:http'
import { rateThrottle } from 'ratethrottle/http'
import { socketLimits } from 'ratethrottle/websocket'
import { WebSocketServer } from 'ws'

// Requests and connections of a client have one budget.
const http = rateThrottle({ limits: '100/minute', scope: 'chat' })
const limits = socketLimits({
  connections: '100/minute',
  scope: 'chat',
  concurrent: 5,
  messages: '20/second',
  bytes: '100000/minute',
  onLimit: ({ reason, action, key }) => console.log(`${key}: ${reason}, ${action}`),
})

const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 })
sockets.on('connection', (socket) => {
  socket.on('error', console.error)
  socket.on('message', (text) => {
    for (const other of sockets.clients) other.send(String(text))
  })
})

// A client that is gone without a word gives its place back within a minute.
const alive = new WeakSet()
sockets.on('connection', (socket) => {
  alive.add(socket)
  socket.on('pong', () => alive.add(socket))
})
setInterval(() => {
  for (const socket of sockets.clients) {
    // Its pong would come after the messages that wait. The limits find out whether it has gone.
    if (socket.isPaused) alive.add(socket)
    else if (!alive.delete(socket)) socket.terminate()
    else socket.ping()
  }
}, 30_000).unref()

const server = createServer(http.wrap((_, response) => response.end('connect with a WebSocket\n')))
server.on('upgrade', limits.upgrade(sockets))
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`ws://127.0.0.1:${server.address().port}`)
})
