import { Gate } from './gate.ts'
import type { WebSocketLike } from './types.ts'
import type { Passing, Rules, Wire } from './wire.ts'

const CLOSED = 3
/** No close frame has come: the connection broke. */
const BROKEN = 1006

/** Bytes of a message's payload: ws gives a Buffer, and with another `binaryType` an ArrayBuffer, a Blob or Buffers. */
function byteLength(data: unknown): number {
  if (Buffer.isBuffer(data)) return data.length
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (Array.isArray(data)) return data.reduce((sum: number, part) => sum + byteLength(part), 0)
  const { byteLength: bytes, size } = (data ?? {}) as { byteLength?: number; size?: number }
  return bytes ?? size ?? 0
}

/**
 * Puts a gate before all listeners of a socket of ws, however and whenever they are added: each way to listen, also a
 * stream and an iterator, ends in the socket's `emit`.
 *
 * @param closed called when the connection has closed
 */
export function gateOf(socket: WebSocketLike, rules: Rules, closed: () => void): Gate {
  const { emit, pause, resume, close, terminate } = socket
  const wire: Wire = {
    deliver: ({ events }) => {
      for (const event of events) Reflect.apply(emit, socket, event)
    },
    pause: () => pause.call(socket),
    resume: () => {
      if (!isPaused) resume.call(socket)
    },
    beat: () => beat(socket),
    close: (code, reason) => close.call(socket, code, reason),
    cut: () => terminate.call(socket),
    // A client of a WebSocket has no way to hear of it.
    dropped: () => {},
  }
  const gate = new Gate(rules, wire)
  /** Whether the program wants it paused. */
  let isPaused = false
  socket.emit = (...event: [event: string | symbol, ...args: unknown[]]): boolean => {
    const [name, data, isBinary] = event
    if (name === 'message') {
      gate.receive(passing(data, isBinary === true, event))
      return true
    }
    if (name !== 'close') return Reflect.apply(emit, socket, event)
    closed()
    gate.end(data !== BROKEN, () => Reflect.apply(emit, socket, event))
    return true
  }
  socket.pause = () => {
    isPaused = socket.readyState !== CLOSED
    gate.stop()
    pause.call(socket)
  }
  socket.resume = () => {
    isPaused = false
    if (gate.go()) resume.call(socket)
  }
  // Also called by ws itself, when the client closes.
  socket.close = (...args) => {
    gate.closing()
    close.apply(socket, args)
  }
  socket.terminate = () => {
    gate.abandon()
    terminate.call(socket)
  }
  return gate
}

function passing(data: unknown, isBinary: boolean, event: readonly unknown[]): Passing {
  return { data, isBinary, bytes: byteLength(data), events: [event] }
}

/** A pong that answers no ping: clients ignore it. What is under way already serves as well, so this never piles up. */
function beat(socket: WebSocketLike): void {
  if (socket.bufferedAmount === 0) socket.pong?.('', undefined, () => {})
}
