import type { IncomingMessage } from 'node:http'
import type { ModulesContainer } from '@nestjs/core'
import { metadata, websockets } from './peers.ts'

/*
 * A client of `ws` does not know the request that opened its socket. Its server tells it, on whatever port that listens;
 * and Nest hands the server to each property of a gateway that is marked with `WebSocketServer`. So each gateway gets one
 * more, which stores nothing.
 */

/** Where Nest keeps that a class is a gateway. */
const GATEWAY = 'websockets:is_gateway'

/** The property. Nest looks among the names that `for ... in` finds. */
const PROPERTY = 'ratethrottle.server'

/** By a client: the request that opened its socket. */
const OPENERS = new WeakMap<object, IncomingMessage>()

/** The servers that are listened to. */
const KNOWN = new WeakSet<object>()

/** What a gateway calls its server: that of `ws` tells each client with its request. */
interface Server {
  on?(event: 'connection', listener: (client: unknown, request: unknown) => void): unknown
}

/** The request that opened the socket of a `ws` client. */
export function openerOf(client: object): IncomingMessage | undefined {
  return OPENERS.get(client)
}

export function isGateway(host: object): boolean {
  return metadata.getMetadata(GATEWAY, host) === true
}

/** Has the gateways' servers say which request opened each socket. Before Nest makes the servers. */
export function noteOpeners(modules: ModulesContainer): void {
  for (const { providers } of modules.values()) {
    for (const { metatype } of providers.values()) {
      if (typeof metatype !== 'function' || !isGateway(metatype)) continue
      const prototype: unknown = metatype.prototype
      if (typeof prototype !== 'object' || prototype === null || PROPERTY in prototype) continue
      mark(prototype)
    }
  }
}

function mark(prototype: object): void {
  Object.defineProperty(prototype, PROPERTY, {
    enumerable: true,
    configurable: true,
    get: () => undefined,
    set: listenTo,
  })
  websockets().WebSocketServer()(prototype, PROPERTY)
}

function listenTo(server: Server | null | undefined): void {
  if (typeof server?.on !== 'function' || KNOWN.has(server)) return
  KNOWN.add(server)
  server.on('connection', (client, request) => {
    // Socket.IO tells the client alone, which knows its request.
    if (typeof client !== 'object' || client === null || request === undefined) return
    OPENERS.set(client, request as IncomingMessage)
  })
}
