import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Ending } from './adapter.ts'

/** What waits for the end of one response. */
class Watched {
  readonly waiting: Set<(ending: Ending) => void> = new Set()
  ending: { readonly status: Ending } | undefined

  end(status: Ending): void {
    if (this.ending !== undefined) return
    this.ending = { status }
    for (const ended of this.waiting) ended(status)
    this.waiting.clear()
  }
}

/** However many limits wait for a response, it has one listener of each kind. */
const WATCHED = new WeakMap<ServerResponse, Watched>()

/**
 * Calls `ended` once, when it is certain how the response ends: with the status in its headers as soon as
 * they are out, or with `undefined` when the client has gone before. A client that ends a stream it has
 * begun to read changes nothing.
 *
 * @returns calls it off
 */
export function onEnd(response: ServerResponse, ended: (ending: Ending) => void): () => void {
  const watched = WATCHED.get(response) ?? watch(response)
  if (watched.ending === undefined) watched.waiting.add(ended)
  else ended(watched.ending.status)
  return () => {
    watched.waiting.delete(ended)
  }
}

function watch(response: ServerResponse): Watched {
  const watched = new Watched()
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
  if (response.socket === null) enqueue(response, gone)
  onHeaders(response, () => {
    leave(response, gone)
    watched.end(response.statusCode)
  })
  return watched
}

/** All of Node's ways to send headers, explicit or not, lead through `writeHead`. */
function onHeaders(response: ServerResponse, sent: () => void): void {
  const { writeHead } = response
  const patched = function (this: ServerResponse, ...args: unknown[]): ServerResponse {
    const result = Reflect.apply(writeHead, this, args) as ServerResponse
    if (response.headersSent && !isUnreachable(response)) sent()
    return result
  }
  response.writeHead = patched as typeof writeHead
}

/** Headers that go to a client who has gone are not out. */
function isUnreachable(response: ServerResponse): boolean {
  const { stream } = response as Streamed
  if (stream !== undefined) return stream.destroyed || (stream.rstCode ?? 0) !== 0
  return response.destroyed || (response.req?.socket?.destroyed ?? false)
}

/**
 * Responses that wait behind others on their connection: Node gives a socket to one at a time, and tells
 * the others nothing when it closes. One listener for all of them, because there may be thousands.
 */
const QUEUED = new WeakMap<Socket, Set<() => void>>()

function enqueue({ req: { socket } }: ServerResponse, gone: () => void): void {
  const known = QUEUED.get(socket)
  if (known !== undefined) {
    known.add(gone)
    return
  }
  const queue = new Set([gone])
  QUEUED.set(socket, queue)
  socket.once('close', () => {
    for (const leaves of queue) leaves()
  })
}

function leave(response: ServerResponse, gone: () => void): void {
  QUEUED.get(response.req?.socket)?.delete(gone)
}

/** A response of HTTP/2 is no stream itself: it has one. */
interface Streamed {
  readonly stream?: { readonly destroyed: boolean; readonly rstCode?: number } | undefined
}

/** HTTP/2 calls a response finished that its client has reset. */
function isCutOff(response: ServerResponse): boolean {
  const { stream } = response as Streamed
  return stream !== undefined && (!response.writableEnded || (stream.rstCode ?? 0) !== 0)
}
