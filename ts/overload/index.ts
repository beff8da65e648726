import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Reply } from './answer.ts'
import { Gate, type Permit } from './gate.ts'
import type { OverloadOptions } from './options.ts'
import type { Priority } from './priority.ts'
import type { OverloadState } from './valve.ts'

export type { Reply } from './answer.ts'
export type { Permit } from './gate.ts'
export type { OverloadOptions, RejectEvent, RejectReason } from './options.ts'
export type { Priority } from './priority.ts'
export type { OverloadState } from './valve.ts'

/** A request of Fastify, as far as it is needed here. */
export interface RawRequest {
  readonly raw: IncomingMessage | Http2ServerRequest
}

/** A listener of `node:http`. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** Calls `next` for a request that comes in, and answers any other with 503. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** A valve in front of a service. It is a middleware of Express and `node:http`. */
export interface Overload extends Middleware {
  /** The same as a hook of Fastify: `app.addHook('onRequest', valve.hook)`. */
  readonly hook: (request: RawRequest, reply: Reply, done: () => void) => void
  /** A listener of `node:http` that only sees the requests that come in. */
  wrap(listener: Listener): Listener
  /**
   * Asks for room for one piece of work, by hand. Call `done` when it has ended; with a response, the room is given
   * back when that ends, also if its client leaves.
   *
   * @returns `undefined` if there is none
   */
  enter(priority?: Priority, response?: ServerResponse): Permit | undefined
  state(): OverloadState
  /** Stops measuring. From then on only the largest limit holds. */
  close(): void
}

/**
 * Turns requests away while a process has more to do than it can: those that matter least first.
 *
 * ```ts
 * const valve = overload({ priority: (request) => (request.url === '/health' ? 'critical' : 'normal') })
 * app.use(valve)                              // Express
 * app.addHook('onRequest', valve.hook)        // Fastify
 * createServer(valve.wrap(listener))          // node:http
 * ```
 *
 * Requests don't wait: each comes in at once, or is answered 503 at once.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function overload(options: OverloadOptions = {}): Overload {
  const gate = new Gate(options)
  const handle: Middleware = (request, response, next) => {
    if (gate.admits(request, response)) next()
    else gate.answers.send(request, response)
  }
  return Object.assign(handle, {
    hook: (request: RawRequest, reply: Reply, done: () => void): void => {
      // The classes of HTTP/2 have the same methods.
      const raw = request.raw as IncomingMessage
      if (gate.admits(raw, reply.raw as ServerResponse)) done()
      else gate.answers.reply(raw, reply)
    },
    wrap:
      (listener: Listener): Listener =>
      (request, response) =>
        handle(request, response, () => listener(request, response)),
    enter: (priority?: Priority, response?: ServerResponse) => gate.enter(priority, response),
    state: () => gate.valve.state,
    close: () => gate.valve.close(),
  })
}
