import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ExecutionContext } from '@nestjs/common'
import type { HttpAdapterHost } from '@nestjs/core'
import { socketAddress } from '../../client-ip/ip.ts'
import type { RequestLimiter } from '../../http/config.ts'
import type { Refusal } from '../../http/response.ts'
import { CallResponse, type Connection } from './call-response.ts'
import { openerOf } from './gateways.ts'
import { type Kind, tellNative } from './refusals.ts'
import { likePlatform, plainRequest, viewOf } from './requests.ts'

/** One call: a request of HTTP, a message, or an operation of GraphQL with all its resolvers. */
export class Call {
  readonly kind: Kind
  readonly response: object
  /** Limiters that it has passed: each counts it once. */
  readonly passed: Set<RequestLimiter> = new Set()
  /** Limiters that refuse it, also for resolvers that come later. */
  readonly refused: Map<RequestLimiter, Refusal> = new Map()
  /** While one of its handlers is decided about: the others wait. */
  turn: Promise<unknown> | undefined
  /** Whether what tells its end has begun. */
  isTold = false
  readonly #request: object

  constructor(kind: Kind, request: object, response: object) {
    this.kind = kind
    this.response = response
    this.#request = request
  }

  /** Whether its end is that of its handler: there is no response of HTTP that ends. */
  get endsWithHandler(): boolean {
    return this.response instanceof CallResponse
  }

  /**
   * What limiters are asked about. A later resolver of an operation has charges of its own: its denial gives back those,
   * and none of a resolver that has run.
   */
  requestFor(context: ExecutionContext): object {
    const request =
      this.kind === 'http' ? this.#request : viewOf(this.#request, routeOf(this.kind, context))
    CONTEXTS.set(request, context)
    return request
  }
}

const CONTEXTS = new WeakMap<object, ExecutionContext>()

/**
 * Nest's context of a request that a key function, or another option, is given: the handler, its class, and the client
 * and the data of a message.
 */
export function contextOf(request: object): ExecutionContext | undefined {
  return CONTEXTS.get(request)
}

const NAMES = new WeakMap<object, string>()

/** What an insight calls a handler, such as `ws ChatGateway.message`. */
function routeOf(kind: Kind, context: ExecutionContext): string {
  const handler = context.getHandler()
  const known = NAMES.get(handler)
  if (known !== undefined) return known
  const name = `${kind} ${context.getClass().name}.${handler.name}`
  NAMES.set(handler, name)
  return name
}

/** What is looked for in objects that may be of any kind. */
interface Fields {
  readonly [field: string]: unknown
  readonly extra?: unknown
  readonly raw?: unknown
  readonly reply?: unknown
  readonly req?: unknown
  readonly request?: unknown
  readonly res?: unknown
  readonly writeHead?: unknown
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

/** Finds the call that a handler runs for. */
export class Calls {
  readonly #host: HttpAdapterHost
  /** By what the handlers of one call have in common. */
  readonly #known = new WeakMap<object, Call>()
  /** By the client of a gateway: the request that opened its socket. */
  readonly #openers = new WeakMap<object, object>()
  /** By a request of Fastify. */
  readonly #replies = new WeakMap<object, object>()

  constructor(host: HttpAdapterHost) {
    this.#host = host
  }

  noteReply(request: object, reply: object): void {
    this.#replies.set(request, reply)
  }

  of(context: ExecutionContext): Call {
    const kind = kindOf(context)
    const args = context.getArgs()
    const common = kind === 'http' ? args[0] : kind === 'graphql' ? operationOf(args) : args
    const known = this.#known.get(common)
    if (known !== undefined) return known
    const call = this.#make(kind, args)
    this.#known.set(common, call)
    return call
  }

  #make(kind: Kind, args: readonly unknown[]): Call {
    if (kind === 'http') return new Call(kind, args[0] as object, args[1] as object)
    if (kind === 'ws') return this.#message(args[0] as object)
    if (kind === 'graphql') return this.#operation(fieldsOf(args[contextAt(args)]))
    if (kind === 'rpc') return remote(args)
    return new Call(kind, plainRequest(undefined), new CallResponse(undefined, '', () => true))
  }

  #message(client: object): Call {
    let opener = this.#openers.get(client)
    const { readyState } = client as { readonly readyState?: unknown }
    const isNative = typeof readyState === 'number'
    if (opener === undefined) {
      opener = this.#openerOf(client)
      this.#openers.set(client, opener)
      if (isNative) tellNative(client)
    }
    const isOpen = (): boolean =>
      isNative
        ? (client as { readyState: number }).readyState === 1
        : (client as { connected?: boolean }).connected === true
    const closes = isNative ? 'close' : 'disconnect'
    return new Call('ws', opener, new CallResponse(client as Connection, closes, isOpen))
  }

  /** Of Socket.IO the client knows its request; of `ws` the server has told it. */
  #openerOf(client: object): object {
    const { request, _socket } = client as { request?: unknown; _socket?: Socket }
    const found = isNodeRequest(request) ? request : openerOf(client)
    return found === undefined ? plainRequest(_socket) : likePlatform(found, this.#host)
  }

  #operation(context: Fields): Call {
    const req = fieldsOf(context.req)
    const asked = [req, context.request, fieldsOf(context.reply).request]
    const request = asked.find(isRequest)
    if (request !== undefined) {
      const answers = [context.res, req.res, context.reply, this.#replies.get(request)]
      const response = answers.find(isResponse)
      return new Call('graphql', request, response ?? new CallResponse(undefined, '', () => true))
    }
    // An operation that came through a socket.
    const extra = fieldsOf(req.extra ?? context.extra)
    const { request: upgrade } = extra
    if (!isNodeRequest(upgrade)) {
      const response = new CallResponse(undefined, '', () => true)
      return new Call('graphql', plainRequest(undefined), response)
    }
    const { socket } = upgrade
    const response = new CallResponse(socket, 'close', () => !socket.destroyed)
    return new Call('graphql', likePlatform(upgrade, this.#host), response)
  }
}

function kindOf(context: ExecutionContext): Kind {
  const type: string = context.getType()
  if (type === 'graphql' || type === 'ws' || type === 'rpc') return type
  // Libraries run handlers of their own under the default type, whose arguments are no request.
  return type === 'http' && isRequest(context.getArgs()[0]) ? 'http' : 'other'
}

/** What all resolvers of one execution of an operation share, and no two executions do. */
function operationOf(args: readonly unknown[]): object {
  const at = contextAt(args)
  const { variableValues } = fieldsOf(args[at + 1])
  const shared = variableValues ?? args[at]
  return typeof shared === 'object' && shared !== null ? shared : args
}

/**
 * A resolver gets the parent, arguments, the context and the info; some get no arguments. The last that looks like an
 * info is it: a client chooses what is in arguments.
 */
function contextAt(args: readonly unknown[]): number {
  const isInfo = (one: unknown): boolean =>
    'fieldName' in fieldsOf(one) && 'operation' in fieldsOf(one)
  const info = args.findLastIndex(isInfo)
  return info === -1 ? 2 : info - 1
}

function isNodeRequest(value: unknown): value is IncomingMessage {
  const { socket, rawHeaders } = fieldsOf(value)
  return typeof socket === 'object' && socket !== null && Array.isArray(rawHeaders)
}

/** Whether it is a request of node:http, or one of Fastify around it. */
function isRequest(value: unknown): value is object {
  return isNodeRequest(value) || isNodeRequest(fieldsOf(value).raw)
}

/** Whether it is a response of node:http, or a reply of Fastify around it. */
function isResponse(value: unknown): value is object {
  const { raw, setHeader, writeHead } = fieldsOf(value)
  if (typeof setHeader === 'function' && typeof writeHead === 'function') return true
  return typeof fieldsOf(raw).writeHead === 'function'
}

/** A socket that hands on what it reads as messages. */
interface MessageSocket {
  readonly netSocket?: Socket
}

/** A message of a microservice. Of the transports only TCP and gRPC know who sent it. */
function remote(args: readonly unknown[]): Call {
  const context = args[1] as { getSocketRef?(): MessageSocket } | undefined
  const socket =
    typeof context?.getSocketRef === 'function' ? context.getSocketRef()?.netSocket : undefined
  if (socket !== undefined) {
    const response = new CallResponse(socket, 'close', () => !socket.destroyed)
    return new Call('rpc', plainRequest(socket), response)
  }
  const call = args[2] as { getPeer?(): string } | undefined
  const peer = typeof call?.getPeer === 'function' ? addressIn(call.getPeer()) : undefined
  const response = new CallResponse(undefined, '', () => true)
  return new Call('rpc', plainRequest(undefined, peer), response)
}

/** The address in gRPC's name of a peer: `127.0.0.1:50312` or `[::1]:50312`, with `ipv4:` or `ipv6:` before it or not. */
function addressIn(peer: string): string | undefined {
  const found = /^(?:ipv[46]:)?\[?([0-9a-f.:%]+?)\]?:\d+$/i.exec(peer)?.[1]
  return found === undefined ? undefined : socketAddress(found)
}
