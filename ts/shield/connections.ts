import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Between two looks at connections that are open. */
const LOOK_MS = 100
/** How many are looked at. */
const LOOK_AT = 1_000
/** More are not watched: they are refused when their next request comes. */
const MAX_WATCHED = 65_536

/** What Node keeps on a connection of HTTP/1: the response that is being made, and the parser that reads it. */
interface Http1 {
  readonly _httpMessage?: ServerResponse | null
  readonly parser?: object | null
}

/** A session of HTTP/2. */
interface Session {
  readonly closed: boolean
  close(): void
}

/**
 * The connections that are open when their source is blocked: idle ones are closed at once, the others when they
 * have answered.
 *
 * Looks at all of them in turn: another process may have blocked a source, or the whole network was.
 */
export class OpenConnections {
  readonly #isBlocked: (socket: Socket) => boolean
  /** With the session of those of HTTP/2. */
  readonly #watched = new Map<Socket, Session | undefined>()
  #turn = this.#watched.entries()
  #newest: Socket | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(isBlocked: (socket: Socket) => boolean) {
    this.#isBlocked = isBlocked
  }

  add(socket: Socket): void {
    this.#newest = undefined
    if (this.#watched.size >= MAX_WATCHED) return
    this.#newest = socket
    this.#watched.set(socket, undefined)
    socket.once('close', () => this.#watched.delete(socket))
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  /** The connection that was added last turns out to be one of HTTP/2. */
  addSession(session: object): void {
    if (this.#newest !== undefined) this.#watched.set(this.#newest, session as Session)
  }

  clear(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#newest = undefined
    this.#watched.clear()
  }

  #look(): void {
    if (this.#watched.size === 0) {
      this.clear()
      return
    }
    const count = Math.min(LOOK_AT, this.#watched.size)
    for (let i = 0; i < count; i++) {
      let next = this.#turn.next()
      if (next.done) {
        this.#turn = this.#watched.entries()
        next = this.#turn.next()
      }
      if (next.done) return
      const [socket, session] = next.value
      if (!this.#isBlocked(socket)) continue
      this.#watched.delete(socket)
      if (session === undefined) endHttp1(socket)
      // Those of its streams that are open are answered.
      else session.close()
    }
  }
}

function endHttp1(socket: Socket): void {
  const { _httpMessage: response, parser } = socket as Socket & Http1
  // After an upgrade the connection belongs to another protocol.
  if (!parser) return
  if (!response) {
    socket.destroy()
    return
  }
  if (!response.headersSent) response.setHeader('connection', 'close')
  response.once('finish', () => socket.destroySoon())
}
