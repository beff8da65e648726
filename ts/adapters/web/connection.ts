import type { IncomingMessage, ServerResponse } from 'node:http'
import { canonical } from '../../client-ip/ip.ts'
import { UNIX, UNKNOWN } from '../../http/client.ts'
import { peerOf } from '../../http/node.ts'

/*
 * Who is at the other end of a request's connection. A `Request` does not say: each runtime tells it in another place,
 * mostly in the second argument of a fetch handler. Only what the runtime itself knows of the socket is read here,
 * never a header: those are followed by option `trust` alone.
 */

/** The request and the response of node:http behind a `Request`, where there are any. */
export interface NodeBindings {
  readonly incoming?: IncomingMessage | undefined
  readonly outgoing?: ServerResponse | undefined
}

/** Where @hono/node-server, srvx and Nitro keep those of node:http, and srvx those of other runtimes. */
interface Told extends NodeBindings {
  readonly runtime?: {
    readonly node?: { readonly req?: IncomingMessage; readonly res?: ServerResponse }
    readonly deno?: { readonly info?: unknown }
    readonly bun?: { readonly server?: unknown }
  }
  readonly node?: { readonly req?: IncomingMessage; readonly res?: ServerResponse }
}

/** `Deno.serve`. */
interface DenoInfo {
  readonly remoteAddr?: { readonly transport?: string; readonly hostname?: unknown }
}

/** `Bun.serve`, whose handlers get the server; Hono's users pass it on as `{ server }`. */
interface BunServer {
  readonly port?: unknown
  readonly requestIP?: (request: object) => { readonly address?: unknown } | null
  readonly server?: BunServer
}

const NO_BINDINGS: NodeBindings = {}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/**
 * The request and the response of node:http behind a request.
 *
 * @param info what the handler was given beside the request
 */
export function nodeOf(request: object, info: unknown): NodeBindings {
  const given: Told = isObject(info) ? info : NO_BINDINGS
  if (isIncoming(given.incoming)) return given
  const { req, res } = given.node ?? (request as Told).runtime?.node ?? {}
  return isIncoming(req) ? { incoming: req, outgoing: res } : NO_BINDINGS
}

function isIncoming(value: unknown): value is IncomingMessage {
  return isObject(value) && isObject((value as Partial<IncomingMessage>).socket)
}

/**
 * The address at the other end of a request's connection, canonical; {@link UNIX} for a Unix-domain socket, and
 * {@link UNKNOWN} where the runtime does not say. `undefined` if the client has left and its address is no longer known.
 */
export function connectedTo(request: object, info: unknown): string | undefined {
  const { incoming } = nodeOf(request, info)
  if (incoming !== undefined) return peerOf(incoming)
  const { runtime } = request as Told
  const told = isObject(info) ? info : (runtime?.deno?.info ?? runtime?.bun?.server)
  if (!isObject(told)) return UNKNOWN
  const { remoteAddr } = told as DenoInfo
  if (isObject(remoteAddr)) {
    return remoteAddr.transport?.startsWith('unix') ? UNIX : readAddress(remoteAddr.hostname)
  }
  return askBun(told, request)
}

function askBun(told: BunServer, request: object): string | undefined {
  const server = typeof told.requestIP === 'function' ? told : told.server
  if (typeof server?.requestIP !== 'function') return UNKNOWN
  const found = server.requestIP(request)
  if (isObject(found)) return readAddress(found.address)
  // Either the client has left, or the server listens at a Unix-domain socket, which has no port.
  return server.port === undefined ? UNIX : undefined
}

/** What is said to be an address, canonical. */
export function readAddress(value: unknown): string {
  return (typeof value === 'string' ? canonical(value) : undefined) ?? UNKNOWN
}
