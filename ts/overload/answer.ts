import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { RETRY_AFTER } from '../http/legacy-headers.ts'
import { discardBody, mustClose, NODE } from '../http/node.ts'
import { JSON_TYPE } from '../http/response.ts'

/** Of the registry of RFC 9457, by draft-ietf-httpapi-ratelimit-headers-10. */
const TYPE = 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity'
export const STATUS = 503

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
  readonly #bodies = new Map<number, string>()

  /** @param retryAfterMs the least that a client is told to wait; the most is twice this */
  constructor(retryAfterMs: number) {
    this.#leastS = Math.ceil(retryAfterMs / 1_000)
  }

  /** Refuses a request of `node:http`, or of a framework with its requests and responses. */
  send(request: IncomingMessage, response: ServerResponse): void {
    const seconds = this.#seconds()
    response.setHeader(RETRY_AFTER, String(seconds))
    response.setHeader('cache-control', 'no-store')
    if (mustClose(request)) {
      response.setHeader('connection', 'close')
      discardBody(request)
    }
    NODE.send(response, STATUS, JSON_TYPE, this.#bodyOf(seconds), false)
  }

  /** Refuses a request of Fastify, whose hooks see the answer. */
  reply(request: IncomingMessage, reply: Reply): void {
    const seconds = this.#seconds()
    reply.code(STATUS)
    reply.header(RETRY_AFTER, String(seconds))
    reply.header('cache-control', 'no-store')
    reply.header('content-type', JSON_TYPE)
    if (mustClose(request)) {
      reply.header('connection', 'close')
      discardBody(request)
    }
    reply.serializer((payload) => payload)
    reply.send(this.#bodyOf(seconds))
  }

  /** Between the least and twice that: clients that are refused together don't return together. */
  #seconds(): number {
    return this.#leastS + Math.floor(Math.random() * (Math.min(this.#leastS, MOST_SPREAD_S) + 1))
  }

  #bodyOf(seconds: number): string {
    const known = this.#bodies.get(seconds)
    if (known !== undefined) return known
    const body = JSON.stringify({
      statusCode: STATUS,
      code: 'OVER_CAPACITY',
      error: 'Service Unavailable',
      message: `Over capacity, retry in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`,
      type: TYPE,
    })
    this.#bodies.set(seconds, body)
    return body
  }
}

/** So many different answers are kept, and no more. */
const MOST_SPREAD_S = 60
