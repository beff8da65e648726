import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import { socketAddress } from '../client-ip/ip.ts'
import type { HttpAdapter } from './adapter.ts'
import { targetOf, UNIX } from './client.ts'
import { LIMIT, REMAINING, RESET, RETRY_AFTER } from './legacy-headers.ts'
import { onDone, onEnd, type Streamed } from './response-end.ts'

/** Where the address is kept on a socket: it never changes, and asking Node takes 100 ns. */
const ADDRESS: unique symbol = Symbol('ratethrottle.address')

type Known = Socket & { [ADDRESS]?: string }

/**
 * The address at the other end of a request's socket, canonical; {@link UNIX} for a Unix-domain socket. `undefined`
 * if the client has left and its address is no longer known.
 */
export function peerOf(request: Pick<IncomingMessage, 'socket'>): string | undefined {
  const known = (request.socket as Known | undefined)?.[ADDRESS]
  return known ?? askPeer(request.socket)
}

/** Whether the client has left and its address is no longer known. */
export function isGone(request: IncomingMessage | undefined): boolean {
  return request !== undefined && peerOf(request) === undefined
}

function askPeer(socket: Known | undefined): string | undefined {
  const address = socket?.remoteAddress
  if (socket === undefined || address === undefined) {
    return socket?.destroyed === false && isWithoutAddresses(socket) ? UNIX : undefined
  }
  const canonical = socketAddress(address)
  socket[ADDRESS] = canonical
  return canonical
}

/** What Node keeps below a socket. TLS has its own handle, around that of the connection. */
interface Handle {
  readonly getpeername?: unknown
  readonly _parent?: Handle
}

/**
 * Whether a socket never had an address, like a Unix-domain socket or a stream in this process. A TCP connection
 * that its client has just reset has no address either, and is not destroyed yet.
 */
function isWithoutAddresses(socket: Socket): boolean {
  // The server's own address is still there after a reset, except on macOS.
  if (socket.localAddress !== undefined) return false
  let handle = (socket as { readonly _handle?: Handle | null })._handle ?? undefined
  while (handle?._parent !== undefined) handle = handle._parent
  // Not documented, but Node itself asks this handle for an address.
  if (handle !== undefined) return handle.getpeername === undefined
  const { Socket: NodeSocket } = process.getBuiltinModule('node:net')
  return !(socket instanceof NodeSocket) || !listensOnNetwork(socket)
}

function listensOnNetwork(socket: Socket): boolean {
  const { server } = socket as { readonly server?: Pick<Server, 'address'> }
  return server !== undefined && typeof server.address() !== 'string'
}

const NO_STREAM: Streamed = { stream: undefined }

/** Node's own class. Loaded by the first call: a limiter may be loaded in a process without a server. */
let Http1Response: typeof ServerResponse | undefined

function isOfHttp1(response: ServerResponse): boolean {
  Http1Response ??= process.getBuiltinModule('node:http').ServerResponse
  return response instanceof Http1Response
}

/** Whether the request can no longer be answered. */
export function isFinished(response: ServerResponse): boolean {
  if (response.headersSent || response.destroyed) return true
  // Only of HTTP/2: to find that a response of Express has no `stream` costs as much as several decisions.
  const { stream } = (isOfHttp1(response) ? NO_STREAM : response) as Streamed
  if (stream !== undefined) return stream.destroyed
  return response.socket === null && response.req.socket?.destroyed
}

/** A body of up to this many bytes is read and dropped; for a longer one the connection is closed. */
const MAX_IGNORED_BODY = 65_536
const LENGTH = 'content-length'
const CODING = 'transfer-encoding'

/**
 * Whether the connection has to end after a refusal. In HTTP/2 a stream ends alone.
 *
 * Reads the raw headers: having Node make an object of them costs more than a denial.
 */
export function mustClose(request: IncomingMessage | undefined): request is IncomingMessage {
  return hasLongBody(request?.rawHeaders ?? []) && request?.httpVersionMajor === 1
}

function hasLongBody(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === CODING.length && name.toLowerCase() === CODING) return true
    const isLength = name.length === LENGTH.length && name.toLowerCase() === LENGTH
    if (isLength && Number(rawHeaders[i + 1]) > MAX_IGNORED_BODY) return true
  }
  return false
}

/** After a response Node reads the rest of the body, unless the program has read of it: `read(0)` counts as that. */
export function discardBody(request: IncomingMessage): void {
  request.read(0)
}

/** Answers in full. */
const send: HttpAdapter<IncomingMessage, ServerResponse>['send'] = (
  response,
  status,
  type,
  body,
  isOpen,
) => {
  if (!isOpen && isFinished(response)) return
  response.statusCode = status
  const { setHeader } = response
  setHeader.call(response, 'content-type', type)
  setHeader.call(response, 'content-length', lengthOf(body))
  response.end(body)
}

/** The body that was measured last: under a flood of denials it is the same for a second. */
const last = { body: '', length: '0' }

function lengthOf(body: string): string {
  if (body !== last.body) {
    last.body = body
    last.length = String(Buffer.byteLength(body))
  }
  return last.length
}

const setFigures: HttpAdapter<IncomingMessage, ServerResponse>['setFigures'] = (
  response,
  limit,
  remaining,
  reset,
  retryAfter,
) => {
  const { setHeader } = response
  try {
    setHeader.call(response, LIMIT, limit)
    setHeader.call(response, REMAINING, remaining)
    setHeader.call(response, RESET, reset)
    if (retryAfter !== undefined) setHeader.call(response, RETRY_AFTER, retryAfter)
  } catch (error) {
    // Asked only now: a response that was answered before its request was decided about is rare.
    if (!isFinished(response)) throw error
  }
}

/** Of HTTP/2: without it an aborted stream looks complete. */
const INTERNAL_ERROR = 2

/** Aborts a response that was not ended: in HTTP/1 with its connection, in HTTP/2 with its stream. */
export function cut(response: ServerResponse): void {
  if (response.writableEnded) return
  const { stream } = response as Streamed
  if (stream === undefined) response.destroy()
  else stream.close(INTERNAL_ERROR)
}

/** Plain `node:http`, and the part of it that frameworks use. */
export const NODE: HttpAdapter<IncomingMessage, ServerResponse> = {
  peer: peerOf,
  incoming: (request) => request,
  outgoing: (response) => response,
  headers: (request) => request.headers,
  method: (request) => request.method ?? '',
  target: targetOf,
  route: () => undefined,
  forwarded: () => undefined,
  isProxy: () => false,
  setHeader: (response, name, value) => {
    response.setHeader(name, value)
  },
  setFigures,
  removeHeader: (response, name) => {
    response.removeHeader(name)
  },
  setStatus: (response, status) => {
    if (!isFinished(response)) response.statusCode = status
  },
  isFinished,
  onEnd,
  onDone,
  cut,
  send,
}
