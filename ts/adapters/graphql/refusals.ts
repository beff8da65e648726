import { RateLimitExceeded, type RequestRefused } from '../../errors.ts'
import { MOST } from './numbers.ts'

/** Codes in `extensions.code` of operations that are refused. */
export type RefusalCode =
  /** Its limits or its permits refuse it: `extensions.retryAfter` says for how many seconds. */
  | 'RATE_LIMITED'
  | 'COST_LIMIT_EXCEEDED'
  | 'DEPTH_LIMIT_EXCEEDED'
  | 'TOKEN_LIMIT_EXCEEDED'
  /** It is no document that could be executed, or breaks a rule of the schema's directives. */
  | 'GRAPHQL_VALIDATION_FAILED'
  | RequestRefused['code']

/** What the server answers to an operation that is refused. */
export interface OperationRefusal {
  readonly message: string
  readonly extensions: { readonly code: RefusalCode } & Readonly<Record<string, unknown>>
  /** Of the response, where a client asks for one that says it. */
  readonly status: number
  /** Seconds, where waiting helps. */
  readonly retryAfter: number | undefined
}

/** @param cost what the operation would be charged */
export function refusalOf(
  error: RateLimitExceeded | RequestRefused,
  cost: number,
): OperationRefusal {
  const { message, statusCode: status } = error
  if (error instanceof RateLimitExceeded) {
    const isOver = Number.isFinite(error.retryAfter)
    const retryAfter = isOver ? error.retryAfter : undefined
    // Without an end JSON has no number: null says that waiting does not help.
    const extensions = { code: 'RATE_LIMITED', retryAfter: retryAfter ?? null, cost } as const
    return { message, extensions, status, retryAfter }
  }
  const { code, retryAfter } = error
  const extensions = retryAfter === undefined ? { code } : { code, retryAfter }
  return { message, extensions, status, retryAfter }
}

const BAD_REQUEST = { status: 400, retryAfter: undefined } as const

export function tooDear(cost: number, maxCost: number): OperationRefusal {
  const message = `This operation costs ${figure(cost)}, and may cost at most ${maxCost}`
  return { message, extensions: { code: 'COST_LIMIT_EXCEEDED', cost, maxCost }, ...BAD_REQUEST }
}

export function tooDeep(depth: number, maxDepth: number): OperationRefusal {
  const message = `This operation is ${figure(depth)} levels deep, and may be at most ${maxDepth} deep`
  return { message, extensions: { code: 'DEPTH_LIMIT_EXCEEDED', depth, maxDepth }, ...BAD_REQUEST }
}

export function tooLong(most: number, unit: 'tokens' | 'characters'): OperationRefusal {
  const message = `This document has more than ${most} ${unit}`
  const name = unit === 'tokens' ? 'maxTokens' : 'maxCharacters'
  return { message, extensions: { code: 'TOKEN_LIMIT_EXCEEDED', [name]: most }, ...BAD_REQUEST }
}

/** @param reason must contain no text of the client's but names, which are cut and escaped */
export function notExecutable(reason: string): OperationRefusal {
  const message = `This document can not be executed: ${reason}`
  return { message, extensions: { code: 'GRAPHQL_VALIDATION_FAILED' }, ...BAD_REQUEST }
}

function figure(value: number): string {
  return value === MOST ? `${MOST} or more` : String(value)
}
