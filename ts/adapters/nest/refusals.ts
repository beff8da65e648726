import { STATUS_CODES } from 'node:http'
import { markExceeded, RateLimitExceeded, type RequestRefused } from '../../errors.ts'
import { errorOf, type Refusal, withoutStack } from '../../http/response.ts'
import { common, microservices, websockets } from './peers.ts'

/** How a call came. */
export type Kind = 'http' | 'graphql' | 'ws' | 'rpc' | 'other'

/** The error that a refusal is in all adapters. */
type Refused = RateLimitExceeded | RequestRefused

/** What GraphQL, gateways and microservices call a denial. */
const RATE_LIMITED = 'RATE_LIMITED'

/** The clients' view of a refusal. It says nothing about the request or its key. */
interface Shown {
  readonly code: string
  readonly message: string
  readonly retryAfter?: number
}

/**
 * A refusal as the exception that Nest's filters of a protocol answer: an `HttpException` for HTTP and GraphQL, a
 * `WsException` for a gateway, an `RpcException` for a microservice. A denial is a `RateLimitExceeded`, too.
 *
 * @param pattern of the message that is refused
 */
export function exceptionOf(refusal: Refusal, kind: Kind, pattern?: unknown): Error {
  const cause: Refused = errorOf(refusal)
  const { name, message } = cause
  const exception = withoutStack(() => make(cause, kind, pattern))
  if (cause instanceof RateLimitExceeded) markExceeded(exception)
  return Object.assign(exception, cause, { name, message, cause })
}

function make(error: Refused, kind: Kind, pattern: unknown): Error {
  const { HttpException } = common
  if (kind === 'http') return new HttpException(bodyOf(error), error.statusCode)
  const shown = shownOf(error)
  if (kind === 'graphql') {
    const { message, ...extensions } = shown
    // Without a statusCode in it: @nestjs/apollo replaces the code of what has one.
    const exception = new HttpException(shown, error.statusCode)
    return Object.assign(exception, { extensions, message })
  }
  const told = { status: 'error', ...shown, statusCode: error.statusCode, pattern }
  if (kind === 'ws') {
    TOLD.add(told)
    return new (websockets().WsException)(told)
  }
  if (kind === 'rpc') return new (microservices().RpcException)(told)
  return new HttpException(bodyOf(error), error.statusCode)
}

/** What clients of gateways are told. */
const TOLD = new WeakSet<object>()

/** A client of `ws`. */
interface NativeClient {
  on(event: 'exception', listener: (told: unknown) => void): unknown
  send(text: string): void
}

/**
 * Sends a client of `ws` its refusals. Nest 11 does so for those of Socket.IO alone: its filter emits the event
 * `exception`, which of a `ws` client only listeners in this process hear.
 */
export function tellNative(client: object): void {
  const { BaseWsExceptionFilter } = websockets()
  if ('emitMessage' in BaseWsExceptionFilter.prototype) return
  const native = client as NativeClient
  native.on('exception', (data) => {
    if (typeof data !== 'object' || data === null || !TOLD.has(data)) return
    native.send(JSON.stringify({ event: 'exception', data }))
  })
}

/** As the other adapters answer. */
function bodyOf({ statusCode, code, message }: Refused): object {
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message }
}

function shownOf(error: Refused): Shown {
  const { message, retryAfter } = error
  const code = error instanceof RateLimitExceeded ? RATE_LIMITED : error.code
  // Waiting does not help where it is not finite.
  const isKnown = retryAfter !== undefined && Number.isFinite(retryAfter)
  return isKnown ? { code, message, retryAfter } : { code, message }
}
