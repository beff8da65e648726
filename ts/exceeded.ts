import type { Decision } from './decision.ts'

/** What all of them have, those of another copy of this package too. */
const BRAND = Symbol.for('ratethrottle.RateLimitExceeded')

/**
 * A request that its limit does not admit.
 *
 * Made to pass through a web framework's error handling: Fastify and Express read `statusCode`.
 * It carries no key, no address and no text of a store.
 *
 * `error instanceof RateLimitExceeded` also holds for Hono's `HTTPException` of a refusal, and for errors of
 * another copy of this package.
 */
export class RateLimitExceeded extends Error {
  static {
    Object.defineProperty(RateLimitExceeded.prototype, 'name', {
      value: 'RateLimitExceeded',
      configurable: true,
      writable: true,
    })
    markExceeded(RateLimitExceeded.prototype)
    Object.defineProperty(RateLimitExceeded, Symbol.hasInstance, { value: isExceeded })
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

/** Has an error of another class count as a {@link RateLimitExceeded}, whose fields it must have. */
export function markExceeded(error: object): void {
  Object.defineProperty(error, BRAND, { value: true })
}

/** What `instanceof` asks: by the class, or by the mark that an error of another class carries. */
function isExceeded(this: unknown, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(this as typeof RateLimitExceeded, value))
    return true
  // A subclass has only its own.
  const isThis = this === RateLimitExceeded
  return isThis && typeof value === 'object' && value !== null && BRAND in value
}
