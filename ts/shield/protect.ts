import type { Server, Socket } from 'node:net'
import { socketAddress } from '../client-ip/ip.ts'
import { UNIX } from '../http/client.ts'
import { peerOf } from '../http/node.ts'
import { bodyOf, ShieldRefusal, typeOf } from '../http/response.ts'
import { oneOf, ownOptions } from '../validate.ts'
import { OpenConnections } from './connections.ts'
import { endHandle, type Handle, interceptHandles } from './handles.ts'
import { settingsOf } from './settings.ts'
import type { ShieldMode } from './types.ts'

/** Options of `guard.protect`. */
export interface ProtectOptions {
  /**
   * What a blocked source gets when it connects: a 429 with a `Retry-After`, or a reset, which costs less. With TLS
   * the 429 comes after the handshake, and a connection of HTTP/2 is always reset. Default: `'429'`.
   */
  readonly answer?: '429' | 'reset' | undefined
}

/** A server of `node:http`, `node:https` or `node:http2`. */
export type ProtectedServer = Pick<Server, 'rawListeners' | 'on' | 'off'>

/** What is asked about connections. It counts nothing. */
export interface Blocks {
  readonly mode: ShieldMode
  /** Milliseconds for which a source is still blocked, 0 if it is not. */
  isBlocked(ip: string): number
}

/**
 * Refuses connections of blocked sources when they are accepted, before anything of HTTP is read, and ends those
 * that are open when their source is blocked.
 *
 * A connection belongs to a source only where its client is connected directly: a proxy's is never closed.
 *
 * @returns undoes it
 */
export function protect(
  guard: Blocks,
  server: ProtectedServer,
  options: ProtectOptions = {},
): () => void {
  const { answer = '429' } = ownOptions(options, ['answer'])
  const isReset = oneOf(answer, 'answer', ['429', 'reset']) === 'reset'
  if (guard.mode !== 'enforce') return () => {}
  return new Gate(guard, server, isReset).start()
}

/** Stands before the connections of one server. */
class Gate {
  readonly #guard: Blocks
  readonly #server: ProtectedServer
  readonly #isReset: boolean
  readonly #isTls: boolean
  readonly #texts = new Texts()
  readonly #open: OpenConnections
  /** The connection that was looked at last, before there was a socket. */
  #seen: Handle | undefined

  constructor(guard: Blocks, server: ProtectedServer, isReset: boolean) {
    this.#guard = guard
    this.#server = server
    this.#isReset = isReset
    this.#isTls = isTlsServer(server)
    this.#open = new OpenConnections((socket) => this.#msLeft(peerOf({ socket })) > 0)
  }

  start(): () => void {
    const server = this.#server
    const session = (one: object): void => this.#open.addSession(one)
    const undo = [
      interceptHandles(server, (client, address) => this.#admitHandle(client, address)),
      intercept(server, 'connection', (socket) => this.#admit(socket)),
      this.#isTls && intercept(server, 'secureConnection', (socket) => this.#admitSecure(socket)),
    ]
    server.on('session', session)
    return () => {
      for (const one of undo) if (one) one()
      server.off('session', session)
      this.#open.clear()
    }
  }

  #msLeft(ip: string | undefined): number {
    if (ip === undefined || ip === UNIX) return 0
    const ms = blockedFor(this.#guard, ip)
    return ms > 0 && !settingsOf(this.#guard).proxies.has(ip) ? ms : 0
  }

  /** Whether connections are refused by a reset: only HTTP/1 has an answer that needs no request. */
  get #resets(): boolean {
    return this.#isReset || !isHttp1Server(this.#server)
  }

  /** Whether a connection is only refused once it is secure. */
  get #isLater(): boolean {
    return this.#isTls && !this.#isReset
  }

  #admitHandle(client: Handle, address: string): boolean {
    if (this.#isLater) return true
    const ms = this.#msLeft(socketAddress(address))
    // One that can't be ended here is looked at again once it has a socket.
    this.#seen = ms === 0 ? client : undefined
    if (ms === 0) return true
    return !endHandle(client, this.#resets ? undefined : this.#texts.for(ms))
  }

  #admit(socket: Socket): boolean {
    const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null }
    const isSeen = handle !== null && handle !== undefined && handle === this.#seen
    this.#seen = undefined
    const ms = isSeen || this.#isLater ? 0 : this.#msLeft(peerOf({ socket }))
    if (ms === 0) {
      if (!this.#isTls) this.#open.add(socket)
      return true
    }
    if (this.#resets) socket.resetAndDestroy()
    else this.#refuse(socket, ms)
    return false
  }

  #admitSecure(socket: Socket): boolean {
    const ms = this.#msLeft(peerOf({ socket }))
    if (ms === 0) {
      this.#open.add(socket)
      return true
    }
    const { alpnProtocol } = socket as Socket & { readonly alpnProtocol?: unknown }
    if (this.#isReset || alpnProtocol === 'h2') socket.destroy()
    else this.#refuse(socket, ms)
    return false
  }

  /**
   * Does not wait for what the client sends: reading it costs as much as all the rest. Where some of it has arrived,
   * the system resets the connection behind the answer.
   */
  #refuse(socket: Socket, ms: number): void {
    // Without a listener an error of the connection would end the process.
    socket.on('error', () => {})
    socket.write(this.#texts.for(ms), 'latin1')
    socket.destroySoon()
  }
}

/** A guard that was closed blocks no source. */
function blockedFor(guard: Blocks, ip: string): number {
  try {
    return guard.isBlocked(ip)
  } catch {
    return 0
  }
}

/**
 * Stands before the listeners that a server has for its connections.
 *
 * They are taken off the server: nothing else keeps Node from making a parser for a connection that is closed.
 *
 * @param admit whether they get to see the connection
 * @returns undoes it
 */
function intercept(
  server: ProtectedServer,
  event: string,
  admit: (socket: Socket) => boolean,
): () => void {
  let listeners = server.rawListeners(event) as ((socket: Socket) => void)[]
  for (const listener of listeners) server.off(event, listener)
  const gate = function (this: unknown, socket: Socket): void {
    if (!admit(socket)) return
    const called = listeners
    if (called.some(isOnce)) listeners = called.filter((listener) => !isOnce(listener))
    for (const listener of called) listener.call(server, socket)
  }
  server.on(event, gate)
  return () => {
    if (!server.rawListeners(event).includes(gate)) return
    server.off(event, gate)
    for (const listener of listeners) server.on(event, listener)
  }
}

/** Whether it was added by `once`: Node wraps such a listener, and has no other mark. */
function isOnce(listener: object): boolean {
  return 'listener' in listener
}

/** How many answers are kept, one for each number of seconds. */
const MAX_TEXTS = 1_024

/** The 429 for connections that no parser has, by the seconds to wait. */
class Texts {
  readonly #texts = new Map<number, string>()

  for(ms: number): string {
    const seconds = Math.ceil(ms / 1000)
    const known = this.#texts.get(seconds)
    if (known !== undefined) return known
    if (this.#texts.size >= MAX_TEXTS) this.#texts.clear()
    const text = textOf(new ShieldRefusal('ABNORMAL_USAGE', seconds))
    this.#texts.set(seconds, text)
    return text
  }
}

function textOf(refusal: ShieldRefusal): string {
  const body = bodyOf(refusal)
  const lines = [
    'HTTP/1.1 429 Too Many Requests',
    `Retry-After: ${refusal.retryAfter}`,
    `Content-Type: ${typeOf(refusal)}`,
    'Cache-Control: no-store',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

function isTlsServer(server: object): boolean {
  return server instanceof process.getBuiltinModule('node:tls').Server
}

function isHttp1Server(server: object): boolean {
  return server instanceof process.getBuiltinModule('node:http').Server
}
