import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { RETRY_AFTER } from '../http/legacy-headers.ts'
import { discardBody, mustClose, NODE } from '../http/node.ts'
import { bodyOf, ShieldRefusal, typeOf } from '../http/response.ts'

/** What Fastify's replies have that is needed here. */
export interface Reply {
  readonly raw: ServerResponse | Http2ServerResponse
  code(status: number): unknown
  header(name: string, value: string): unknown
  serializer(serialize: (payload: string) => string): unknown
  send(body: string): unknown
}

/** Answers of one valve. */
export class Answers {
  readonly #leastS: number

  /** @param retryAfterMs the least that a client is told to wait; the most is twice this */
  constructor(retryAfterMs: number) {
    this.#leastS = Math.ceil(retryAfterMs / 1_000)
  }

  /** Refuses a request of `node:http`, or of a framework with its requests and responses. */
  send(request: IncomingMessage, response: ServerResponse): void {
    const setHeader = (name: string, value: string): unknown => response.setHeader(name, value)
    const refusal = this.#prepare(request, setHeader)
    NODE.send(response, refusal.statusCode, typeOf(refusal), bodyOf(refusal), false)
  }

  /** Refuses a request of Fastify, whose hooks see the answer. */
  reply(request: IncomingMessage, reply: Reply): void {
    const refusal = this.#prepare(request, (name, value) => reply.header(name, value))
    reply.code(refusal.statusCode)
    reply.header('content-type', typeOf(refusal))
    // The body is text already.
    reply.serializer((payload) => payload)
    reply.send(bodyOf(refusal))
  }

  #prepare(
    request: IncomingMessage,
    setHeader: (name: string, value: string) => unknown,
  ): ShieldRefusal {
    const refusal = new ShieldRefusal('REDUCED_CAPACITY', this.#seconds())
    setHeader(RETRY_AFTER, String(refusal.retryAfter))
    setHeader('cache-control', 'no-store')
    if (mustClose(request)) {
      setHeader('connection', 'close')
      discardBody(request)
    }
    return refusal
  }

  /** Between the least and twice that: clients that are refused together don't return together. */
  #seconds(): number {
    return this.#leastS + Math.floor(Math.random() * (this.#leastS + 1))
  }
}
