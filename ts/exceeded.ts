import type { Decision } from './decision.ts'

/**
 * A request that its limit does not admit.
 *
 * Made to pass through a web framework's error handling: Fastify and Express read `statusCode`.
 * It carries no key, no address and no text of a store.
 */
export class RateLimitExceeded extends Error {
  static {
    Object.defineProperty(RateLimitExceeded.prototype, 'name', {
      value: 'RateLimitExceeded',
      configurable: true,
      writable: true,
    })
  }

  /** Stable name of this error. */
  readonly code = 'RATE_LIMIT_EXCEEDED'
  /** HTTP status: 429, Too Many Requests, unless another was asked for. */
  readonly statusCode: number
  /** The same, as http-errors calls it: Nest answers 500 to errors without it. */
  readonly status: number
  /** That clients may read the message, as http-errors calls it. */
  readonly expose = true
  /** Seconds to wait, rounded up, so that obeying them is enough; `Infinity` when waiting won't help. */
  readonly retryAfter: number
  /** The decision in full. */
  readonly decision: Decision

  /**
   * @param decision the denial
   * @param message default: how long to wait, in words
   * @param statusCode default: 429
   */
  constructor(decision: Decision, message?: string, statusCode = 429) {
    const seconds = Math.ceil(decision.retryAfterMs / 1000)
    super(message ?? inWords(seconds))
    this.statusCode = statusCode
    this.status = statusCode
    this.retryAfter = seconds
    this.decision = decision
  }
}

/** How long to wait, in words. */
export function inWords(seconds: number): string {
  if (seconds === Number.POSITIVE_INFINITY) {
    return 'Rate limit exceeded: this request costs more than the limit ever admits'
  }
  return `Rate limit exceeded, retry in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
}
