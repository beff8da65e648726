import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { invalid } from '../../validate.ts'
import type { Connections } from './connections.ts'
import { answerRaw } from './handshake-response.ts'
import type { WebSocketLike, WebSocketServerLike } from './types.ts'

/** A listener of a server's event `upgrade`. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

interface Headers {
  on?(event: 'headers', listener: (lines: string[], request: object) => void): unknown
}

/**
 * Decides about connections before they are upgraded.
 *
 * @param target a server of ws without a server of its own, or what upgrades an admitted request
 */
export function upgradeListener(
  connections: Connections,
  target: WebSocketServerLike | UpgradeListener,
): UpgradeListener {
  const handOver = typeof target === 'function' ? target : toServer(connections, target)
  return (request, socket, head) => {
    const passOn = keep(socket)
    connections.decide(request, socket, answerRaw(socket), (admission, response) => {
      socket.once('close', () => admission.leave())
      SHOWN.set(request, response.headers)
      try {
        passOn(() => handOver(request, socket, head))
      } catch (error) {
        socket.destroy()
        connections.handshake.events.failed(request, error)
      }
    })
  }
}

/**
 * Looks after a raw connection while it is decided about. Node has taken its own listener away: a connection that
 * breaks now would end the process.
 *
 * @returns passes the connection on to its next owner
 */
export function keep(socket: Duplex): (handOver: () => void) => void {
  const broken = (): void => {
    socket.destroy()
  }
  socket.on('error', broken)
  const unwatch = watchForEnd(socket)
  return (handOver) => {
    unwatch()
    handOver()
    // The next owner listens by now.
    if (socket.listenerCount('error') > 1) socket.removeListener('error', broken)
  }
}

/**
 * Destroys a connection whose client leaves while it is decided about. Nothing reads from it meanwhile, so there is no
 * event of its end but `readable`; and `end`, where the client has left as soon as it had asked.
 *
 * @returns ends this, before others read
 */
function watchForEnd(socket: Duplex): () => void {
  const look = (): void => {
    if (socket.readableLength === 0) socket.destroy()
  }
  const ended = (): void => {
    socket.destroy()
  }
  socket.on('end', ended)
  let isWatched = false
  // Most decisions are made at once.
  const later = setImmediate(() => {
    isWatched = true
    socket.on('readable', look)
  })
  return () => {
    clearImmediate(later)
    socket.removeListener('end', ended)
    if (isWatched) socket.removeListener('readable', look)
  }
}

/** Headers of the limits, for the answer that ws makes. */
const SHOWN = new WeakMap<object, ReadonlyMap<string, string>>()
const SHOWING = new WeakSet<object>()

function toServer(connections: Connections, server: WebSocketServerLike): UpgradeListener {
  const isServer =
    typeof server === 'object' && server !== null && typeof server.handleUpgrade === 'function'
  if (!isServer) {
    const accepted = 'a WebSocketServer of ws, or a function that upgrades a request'
    throw invalid(TypeError, 'INVALID_ARGUMENT', 'upgrade', accepted, server)
  }
  if ((server as { options?: { noServer?: boolean } }).options?.noServer === false) {
    const accepted =
      'a WebSocketServer that was made with noServer: true, as it would upgrade all by itself'
    throw invalid(TypeError, 'INVALID_ARGUMENT', 'upgrade', accepted, server)
  }
  showHeaders(server)
  return (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (opened: WebSocketLike) => {
      void connections.attach(opened, request)
      server.emit('connection', opened, request)
    })
  }
}

/** An admitted client sees the same headers as one of HTTP, in the answer with status 101. */
function showHeaders(server: WebSocketServerLike & Headers): void {
  if (SHOWING.has(server) || typeof server.on !== 'function') return
  SHOWING.add(server)
  server.on('headers', (lines, request) => {
    for (const [name, value] of SHOWN.get(request) ?? []) lines.push(`${name}: ${value}`)
  })
}
