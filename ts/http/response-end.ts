import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Ending } from './adapter.ts'

/*
 * When a response ends: once its headers are sent it is certain how ({@link onEnd}), and once its last byte is it is
 * done ({@link onDone}).
 */

/** A response of HTTP/2 is no stream itself: it has one. */
export interface Streamed {
  readonly stream?:
    | { readonly destroyed: boolean; readonly rstCode?: number; close(code: number): void }
    | undefined
}

/** What is to be called at the end of one response, or of one call. It ends once. */
export class EndListeners {
  readonly #waiting = new Set<(ending: Ending) => void>()
  #ending: { readonly status: Ending } | undefined

  get isOver(): boolean {
    return this.#ending !== undefined
  }

  /** As {@link onEnd}: at once if it is over. */
  add(ended: (ending: Ending) => void): () => void {
    if (this.#ending === undefined) this.#waiting.add(ended)
    else ended(this.#ending.status)
    return () => {
      this.#waiting.delete(ended)
    }
  }

  end(status: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = { status }
    for (const ended of this.#waiting) ended(status)
    this.#waiting.clear()
  }
}

/** However many limits watch a response, it has one listener of each kind. */
const WATCHED = new WeakMap<ServerResponse, EndListeners>()

/**
 * Calls `ended` once, when it is certain how the response ends: with its status as soon as the headers are sent, or
 * with `undefined` if the client leaves before. What the client does after the headers makes no difference.
 *
 * @returns cancels the call
 */
export function onEnd(response: ServerResponse, ended: (ending: Ending) => void): () => void {
  return (WATCHED.get(response) ?? watch(response)).add(ended)
}

function watch(response: ServerResponse): EndListeners {
  const watched = new EndListeners()
  WATCHED.set(response, watched)
  const gone = (): void => {
    leave(response, gone)
    watched.end(undefined)
  }
  const sent = (): void => {
    leave(response, gone)
    watched.end(isCutOff(response) ? undefined : response.statusCode)
  }
  response.once('finish', sent)
  response.once('close', gone)
  if (response.socket === null) whenClosed(response.req.socket, gone)
  onHeaders(response, () => {
    leave(response, gone)
    watched.end(response.statusCode)
  })
  return watched
}

/** Node sends all headers, explicit or not, through `writeHead`. */
function onHeaders(response: ServerResponse, sent: () => void): void {
  const { writeHead } = response
  const patched = function (this: ServerResponse, ...args: unknown[]): ServerResponse {
    const result = Reflect.apply(writeHead, this, args) as ServerResponse
    if (response.headersSent && !isUnreachable(response)) sent()
    return result
  }
  response.writeHead = patched as typeof writeHead
}

/** Headers written for a client that has left are not sent. */
function isUnreachable(response: ServerResponse): boolean {
  const { stream } = response as Streamed
  if (stream !== undefined) return stream.destroyed || (stream.rstCode ?? 0) !== 0
  return response.destroyed || (response.req?.socket?.destroyed ?? false)
}

/** What waits for a connection to close: one listener for all of them, because there may be thousands. */
class Closing {
  readonly waiting: Set<() => void> = new Set()
  readonly closed = (): void => {
    for (const gone of this.waiting) gone()
  }
}

const CLOSING = new WeakMap<Socket, Closing>()

/** Node gives the socket to one response at a time: the others on a connection get no event when it closes. */
function whenClosed(socket: Socket, gone: () => void): void {
  const closing = CLOSING.get(socket) ?? new Closing()
  if (closing.waiting.size === 0) {
    CLOSING.set(socket, closing)
    socket.once('close', closing.closed)
  }
  closing.waiting.add(gone)
}

function leave(response: ServerResponse, gone: () => void): void {
  const socket = response.req?.socket
  const closing = CLOSING.get(socket)
  if (closing?.waiting.delete(gone) !== true || closing.waiting.size > 0) return
  socket.off('close', closing.closed)
  CLOSING.delete(socket)
}

/** In HTTP/2 a response that its client has reset counts as finished. */
function isCutOff(response: ServerResponse): boolean {
  const { stream } = response as Streamed
  return stream !== undefined && (!response.writableEnded || (stream.rstCode ?? 0) !== 0)
}

/**
 * Calls `done` once, when nothing more is to be done for a response: its last byte was handed to the system, or its
 * client has left. At once if that is so by now.
 *
 * @returns cancels the call
 */
export function onDone(response: ServerResponse, done: () => void): () => void {
  if (isDone(response)) {
    done()
    return () => {}
  }
  let isStopped = false
  const stop = (): void => {
    isStopped = true
    response.off('finish', over)
    response.off('close', over)
    leave(response, over)
  }
  const over = (): void => {
    // A handler may end its response after its client has left.
    if (isStopped) return
    stop()
    done()
  }
  response.once('finish', over)
  response.once('close', over)
  // A response that waits behind others hears nothing of its connection, and neither does one whose socket a handler
  // has taken over, as for a WebSocket. One of HTTP/2 has a stream of its own.
  const { socket } = response.req ?? {}
  if (!('stream' in response) && typeof socket?.once === 'function') whenClosed(socket, over)
  if (response.socket === null) whenEnded(response, over)
  return stop
}

function isDone(response: ServerResponse): boolean {
  const { stream } = response as Streamed
  if (stream?.destroyed === true) return true
  if (response.writableFinished || response.destroyed) return true
  return stream === undefined && response.req?.socket?.destroyed === true
}

/**
 * A response that waits behind others is done when its handler has ended it: it is sent whenever those before it are,
 * which may be waiting for what it holds.
 */
function whenEnded(response: ServerResponse, ended: () => void): void {
  const { end } = response
  const ending = (...parts: Parameters<typeof end>): ServerResponse => {
    const result = end.apply(response, parts)
    ended()
    return result
  }
  response.end = ending as typeof end
}
