import { STATUS_CODES } from 'node:http'
import { RequestRefused } from '../errors.ts'
import { inWords, RateLimitExceeded } from '../exceeded.ts'
import type { ChargeRecord } from './charge-record.ts'

const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

/** How denials are worded. */
export class Wording {
  readonly status: number
  readonly message: string | undefined
  readonly #head: string
  readonly #message: string | undefined

  constructor(status: number, message: string | undefined) {
    this.status = status
    this.message = message
    this.#head = headOf(status, 'RATE_LIMIT_EXCEEDED')
    this.#message = message === undefined ? undefined : JSON.stringify(message)
  }

  /** As JSON. In front of a flood of denials there is no time to make it anew: only the seconds differ. */
  toJSONText(seconds: number): string {
    return `${this.#head}${this.#message ?? `"${inWords(seconds)}"`}}`
  }
}

/**
 * Why a request is not served, as its limits see it.
 *
 * No Error yet: making one costs more than deciding, and where nobody looks at it the answer needs none.
 */
export class Denial {
  readonly statusCode: number
  readonly #passage: ChargeRecord
  readonly #wording: Wording

  constructor(passage: ChargeRecord, wording: Wording) {
    this.statusCode = wording.status
    this.#passage = passage
    this.#wording = wording
  }

  /** Whole seconds, rounded up. */
  get retryAfter(): number {
    return Math.ceil(this.#passage.decision.retryAfterMs / 1000)
  }

  /** For whoever handles errors. Where it was made interests nobody, so it has no stack. */
  toError(): RateLimitExceeded {
    const { status, message } = this.#wording
    return withoutStack(() => new RateLimitExceeded(this.#passage.decision, message, status))
  }

  /** What Fastify makes of the error: JSON. */
  toJSONText(): string {
    return this.#wording.toJSONText(this.retryAfter)
  }

  /** RFC 9457, with the type and the extension of draft-ietf-httpapi-ratelimit-headers-10, section 6. */
  toProblem(): string {
    const { budget, decision } = this.#passage
    const name = budget.policies[decision.policy]?.name
    return JSON.stringify({
      type: QUOTA_EXCEEDED,
      title: 'Too Many Requests',
      status: this.statusCode,
      detail: this.#wording.message ?? inWords(this.retryAfter),
      'violated-policies': name === undefined ? [] : [name],
    })
  }
}

/** Makes an error at a fraction of the cost: the stack is the most of it. */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** Why a request is not served; `undefined` if it may pass. */
export type Refusal = Denial | RequestRefused | undefined

/** A refusal for whoever handles errors. */
export function errorOf(refusal: Denial | RequestRefused): RateLimitExceeded | RequestRefused {
  return refusal instanceof RequestRefused ? refusal : refusal.toError()
}

/** The body of a refusal where the framework makes none: the same for all, and nothing of the request. */
export function bodyOf(refusal: Denial | RequestRefused): string {
  if (!(refusal instanceof RequestRefused)) return refusal.toJSONText()
  const { statusCode, code, message } = refusal
  return `${headOf(statusCode, code)}${JSON.stringify(message)}}`
}

/** What Fastify makes of an error, as far as the message. */
function headOf(statusCode: number, code: string): string {
  const error = JSON.stringify(STATUS_CODES[statusCode] ?? 'Error')
  return `{"statusCode":${statusCode},"code":"${code}","error":${error},"message":`
}
