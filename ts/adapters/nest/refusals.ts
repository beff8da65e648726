import { STATUS_CODES } from 'node:http'
import { markExceeded, RateLimitExceeded } from '../../errors.ts'
import { errorOf, type Refusal, withoutStack } from '../../http/response.ts'
import { common, microservices, websockets } from './peers.ts'

/** How a call came. */
export type Kind = 'http' | 'graphql' | 'ws' | 'rpc' | 'other'

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
  const cause = errorOf(refusal)
  const { name, message } = cause
  const exception = withoutStack(() => make(cause, kind, pattern))
  if (cause instanceof RateLimitExceeded) markExceeded(exception)
  return Object.assign(exception, cause, { name, message, cause })
}

type Cause = ReturnType<typeof errorOf> | Exclude<ReturnType<typeof errorOf>, never>

function make(cause: Cause | Error, kind: Kind, pattern: unknown): Error {
  const error = cause as RateLimitExceeded
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
  if (kind === 'ws') return new (websockets().WsException)(told)
  if (kind === 'rpc') return new (microservices().RpcException)(told)
  return new HttpException(bodyOf(error), error.statusCode)
}

/** As the other adapters answer. */
function bodyOf({ statusCode, code, message }: RateLimitExceeded): object {
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message }
}

function shownOf(error: RateLimitExceeded): Shown {
  const { message, retryAfter } = error
  const code = error instanceof RateLimitExceeded ? RATE_LIMITED : (error as { code: string }).code
  // Waiting does not help where it is not finite.
  return Number.isFinite(retryAfter) ? { code, message, retryAfter } : { code, message }
}
