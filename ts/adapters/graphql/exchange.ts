import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { onDone } from '../../http/response-end.ts'

/*
 * The HTTP request that an operation came with. Servers hand on what their context function returns, so it is looked for
 * where they and their examples put it.
 */

/** Where contexts have their request and response: Yoga, Apollo, Nest, mercurius, graphql-ws. */
interface Context {
  readonly req?: unknown
  readonly res?: unknown
  readonly request?: unknown
  readonly reply?: { readonly request?: unknown; readonly raw?: unknown }
  readonly extra?: { readonly request?: unknown }
}

/** What is known of the exchange that an operation belongs to. */
export interface HttpExchange {
  readonly request: IncomingMessage | undefined
  readonly headers: IncomingHttpHeaders
  /** Whose end is that of the exchange. */
  readonly response: Ends | undefined
}

/** What an operation ends with, at the latest. */
export type Ends = ServerResponse | AbortSignal | Socket

export function exchangeOf(given: object): HttpExchange {
  const context = given as Context
  const { req, res, reply, extra } = context
  const request = [req, context.request, reply?.request, extra?.request].map(rawOf).find(isNode)
  const fetched = isFetch(context.request) ? context.request : undefined
  const outgoing = [res, reply?.raw, (request as { res?: unknown } | undefined)?.res]
  // A WebSocket has no response: what comes through it ends with it.
  const response = outgoing.find(isResponse) ?? fetched?.signal ?? request?.socket
  return { request, response, headers: request?.headers ?? headersOf(fetched) }
}

/** Fastify's and Koa's requests have the one of Node below them. */
function rawOf(request: unknown): unknown {
  const { raw } = (request ?? {}) as { readonly raw?: unknown }
  return isNode(raw) ? raw : request
}

function isNode(request: unknown): request is IncomingMessage {
  const { socket, headers } = (request ?? {}) as { socket?: unknown; headers?: unknown }
  return typeof socket === 'object' && socket !== null && typeof headers === 'object'
}

function isResponse(response: unknown): response is ServerResponse {
  const { once, setHeader } = (response ?? {}) as { once?: unknown; setHeader?: unknown }
  return typeof once === 'function' && typeof setHeader === 'function'
}

interface Fetched {
  readonly headers: { forEach(each: (value: string, name: string) => void): void }
  readonly signal?: AbortSignal
}

function isFetch(request: unknown): request is Fetched {
  const { headers } = (request ?? {}) as { headers?: { get?: unknown; forEach?: unknown } }
  return typeof headers?.get === 'function' && typeof headers.forEach === 'function'
}

function headersOf(request: Fetched | undefined): IncomingHttpHeaders {
  const headers = Object.create(null) as Record<string, string>
  request?.headers.forEach((value, name) => {
    headers[name] = value
  })
  return headers
}

/** Callbacks for the end of one response: a batch has many operations, and they share one listener. */
const WAITING = new WeakMap<object, Set<() => void>>()

/**
 * Calls `done` once the response has been sent, or its client has left.
 *
 * @returns cancels the call
 */
export function whenDone(response: Ends, done: () => void): () => void {
  const known = WAITING.get(response)
  if (known !== undefined) {
    known.add(done)
    return () => leave(response, known, done)
  }
  const waiting = new Set([done])
  WAITING.set(response, waiting)
  const all = (): void => {
    WAITING.delete(response)
    for (const one of waiting) one()
  }
  STOPS.set(waiting, listen(response, all))
  return () => leave(response, waiting, done)
}

/** What removes the listener of each set. */
const STOPS = new WeakMap<Set<() => void>, () => void>()

function leave(response: object, waiting: Set<() => void>, done: () => void): void {
  waiting.delete(done)
  if (waiting.size > 0) return
  STOPS.get(waiting)?.()
  if (WAITING.get(response) === waiting) WAITING.delete(response)
}

function listen(response: Ends, done: () => void): () => void {
  if (response instanceof AbortSignal) return onAbort(response, done)
  return isResponse(response) ? onDone(response, done) : onClose(response, done)
}

function onClose(socket: Socket, closed: () => void): () => void {
  if (socket.destroyed) closed()
  else socket.once('close', closed)
  return () => socket.off('close', closed)
}

function onAbort(signal: AbortSignal, aborted: () => void): () => void {
  if (signal.aborted) aborted()
  else signal.addEventListener('abort', aborted, { once: true })
  return () => signal.removeEventListener('abort', aborted)
}

/** Whether a client left before its response was sent. */
export function isLeftBy(response: Ends): boolean {
  return !isResponse(response) || !response.writableFinished
}

const MODERN = 'application/graphql-response+json'
const CLASSIC = 'application/json'

/**
 * Whether the client asks for the media type with which a status says how a request went, and prefers it to
 * `application/json`, with which it is 200 for every answer of GraphQL.
 */
export function wantsStatus(accept: unknown): boolean {
  if (typeof accept !== 'string') return false
  let modern = 0
  let classic = 0
  for (const range of accept.slice(0, 2_000).toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    const given = parameters.find((parameter) => parameter.startsWith('q='))
    const quality = given === undefined ? 1 : Number(given.slice(2)) || 0
    if (type === MODERN) modern = Math.max(modern, quality)
    if (type === CLASSIC) classic = Math.max(classic, quality)
  }
  return modern > 0 && modern >= classic
}
