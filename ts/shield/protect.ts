import type { Server, Socket } from 'node:net'
import { UNIX } from '../http/client.ts'
import { peerOf } from '../http/node.ts'
import { bodyOf, ShieldRefusal, typeOf } from '../http/response.ts'
import { oneOf, ownOptions } from '../validate.ts'
import { OpenConnections } from './connections.ts'
import { settingsOf } from './settings.ts'
import { Tarpit } from './tarpit.ts'
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
export type ProtectedServer = Pick<Server, 'listeners' | 'on' | 'off'>

/** What is asked about connections. It counts nothing. */
export interface Blocks {
  readonly mode: ShieldMode
  /** Milliseconds for which a source is still blocked, 0 if it is not. */
  isBlocked(ip: string): number
}

/** A client of which we have heard enough reads its answer in this time, or does not get it. */
const LINGER_MS = 1_000
/** So many at once may take that long. */
const MAX_LINGERING = 1_024

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
  const { proxies } = settingsOf(guard)
  const msLeft = (socket: Socket): number => {
    const ip = peerOf({ socket })
    if (ip === undefined || ip === UNIX) return 0
    const ms = blockedFor(guard, ip)
    return ms > 0 && !proxies.has(ip) ? ms : 0
  }
  const isTls = isTlsServer(server)
  const open = new OpenConnections((socket) => msLeft(socket) > 0)
  const refusal = new Refusal()
  const first = intercept(server, 'connection', (socket) => {
    const ms = isTls && !isReset ? 0 : msLeft(socket)
    if (ms === 0) {
      if (!isTls) open.add(socket)
      return true
    }
    if (isReset || !isHttp1Server(server)) socket.resetAndDestroy()
    else refusal.answer(socket, ms)
    return false
  })
  const second =
    isTls &&
    intercept(server, 'secureConnection', (socket) => {
      const ms = msLeft(socket)
      if (ms === 0) {
        open.add(socket)
        return true
      }
      if (isReset || (socket as { alpnProtocol?: unknown }).alpnProtocol === 'h2') socket.destroy()
      else refusal.answer(socket, ms)
      return false
    })
  const sessions = (session: object): void => open.addSession(session)
  server.on('session', sessions)
  return () => {
    first()
    if (second) second()
    server.off('session', sessions)
    open.clear()
    refusal.close()
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
  const listeners = server.listeners(event) as ((socket: Socket) => void)[]
  for (const listener of listeners) server.off(event, listener)
  const gate = function (this: unknown, socket: Socket): void {
    if (!admit(socket)) return
    for (const listener of listeners) listener.call(server, socket)
  }
  server.on(event, gate)
  return () => {
    if (!server.listeners(event).includes(gate)) return
    server.off(event, gate)
    for (const listener of listeners) server.on(event, listener)
  }
}

/** Sends a 429 over connections that no parser has. */
class Refusal {
  readonly #lingering = new Tarpit(LINGER_MS, MAX_LINGERING)
  readonly #heads = new Map<number, string>()

  answer(socket: Socket, ms: number): void {
    // Without a listener an error of the connection would end the process.
    socket.on('error', () => {})
    const leave = this.#lingering.hold(() => socket.destroy())
    if (leave === undefined) {
      socket.resetAndDestroy()
      return
    }
    socket.on('close', leave)
    socket.end(this.#textFor(Math.ceil(ms / 1000)), 'latin1')
    // Unread, what the client sends would reset the connection, and with it the answer on its way.
    socket.resume()
  }

  close(): void {
    this.#lingering.close()
  }

  #textFor(seconds: number): string {
    const known = this.#heads.get(seconds)
    if (known !== undefined) return known
    if (this.#heads.size >= MAX_LINGERING) this.#heads.clear()
    const text = textOf(new ShieldRefusal('ABNORMAL_USAGE', seconds))
    this.#heads.set(seconds, text)
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
