import type { IncomingMessage } from 'node:http'
import type { Key } from '../../http/key-functions.ts'

/*
 * What is asked of the sockets and servers of ws, @fastify/websocket and socket.io. They are handed to us, so no
 * package is loaded: neither here nor in a program that has only one of them.
 */

/** A message, as `messageKey` gets it. */
export interface SocketMessage {
  /** As ws gives it: a Buffer, an ArrayBuffer, or an array of Buffers; for socket.io a text or a Buffer. */
  readonly data: unknown
  readonly isBinary: boolean
  /** Bytes of its payload, after decompression. */
  readonly bytes: number
}

/** What a message is counted by; without a key, by its client. Called for each message, and answers at once. */
export type MessageKey = (message: SocketMessage, request: IncomingMessage) => Key

/** A message over a limit. */
export interface SocketLimitEvent {
  /**
   * The limit: of messages, of bytes, or `maxMessageBytes`. `'held'`: more waits than one connection may keep in
   * memory. `'lost'`: the client left while messages waited, and they are dropped.
   */
  readonly reason: 'messages' | 'bytes' | 'size' | 'held' | 'lost'
  /** What became of the message. `'none'` in a dry run: it was delivered. */
  readonly action: 'pause' | 'drop' | 'close' | 'none'
  /** Milliseconds until it is admitted; `Infinity` if it never is. */
  readonly retryAfterMs: number
  readonly bytes: number
  /** What it was counted by. */
  readonly key: string
  readonly request: IncomingMessage
}

/** A socket of ws. */
export interface WebSocketLike {
  readonly readyState: number
  emit(event: string | symbol, ...args: unknown[]): boolean
  pause(): void
  resume(): void
  close(code?: number, reason?: string): void
  terminate(): void
  readonly bufferedAmount?: number
  // biome-ignore lint/suspicious/noExplicitAny: as ws has it
  pong?(data?: any, mask?: boolean, written?: (error: Error) => void): void
}

/** A server of ws. */
export interface WebSocketServerLike {
  handleUpgrade(
    request: IncomingMessage,
    // biome-ignore lint/suspicious/noExplicitAny: as node:http and ws have them, which differ in their types
    socket: any,
    // biome-ignore lint/suspicious/noExplicitAny: a Buffer
    head: any,
    // biome-ignore lint/suspicious/noExplicitAny: a WebSocket of ws
    callback: (socket: any, request: IncomingMessage) => void,
  ): void
  // biome-ignore lint/suspicious/noExplicitAny: as above
  emit(event: 'connection', socket: any, request: any): boolean
}

/** A connection of engine.io, below the sockets of socket.io. */
export interface EngineSocketLike {
  readonly readyState: string
  readonly request: IncomingMessage
  emit(event: string | symbol, ...args: unknown[]): boolean
  close(): void
}

/** The server of engine.io below one of socket.io: `io.engine`. */
export interface EngineServerLike {
  // biome-ignore lint/suspicious/noExplicitAny: a socket of engine.io
  on(event: 'connection', listener: (socket: any) => void): unknown
}

/** A socket of socket.io, as its middleware gets it. */
export interface SocketIoLike {
  readonly conn: object
}

/** What a refused client of socket.io gets with `connect_error`: `error.data`. */
export interface ConnectErrorData {
  readonly code: string
  /** Seconds to wait, rounded up. */
  readonly retryAfter: number | undefined
}
