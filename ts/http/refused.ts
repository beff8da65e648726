/** Why a request was not served, other than by its limits. */
export type RefusalCode = 'ADDRESS_DENIED' | 'KEY_MISSING' | 'RATE_LIMITER_FAILED'

const ANSWERS: Readonly<Record<RefusalCode, readonly [status: number, message: string]>> = {
  ADDRESS_DENIED: [403, 'Requests from this address are not served'],
  KEY_MISSING: [400, 'This request does not say who is asking'],
  RATE_LIMITER_FAILED: [500, 'The rate limit of this request could not be checked'],
}

/**
 * A request that is refused without having been counted.
 *
 * Its message is one of three constant texts: nothing of the request, the key or another error is in it.
 * What went wrong inside stands in `cause`.
 */
export class RequestRefused extends Error {
  static {
    Object.defineProperty(RequestRefused.prototype, 'name', {
      value: 'RequestRefused',
      configurable: true,
      writable: true,
    })
  }

  /** Stable name of the reason. */
  readonly code: RefusalCode
  /** HTTP status: 403, 400 or 500. */
  readonly statusCode: number

  constructor(code: RefusalCode, options?: ErrorOptions) {
    const [status, message] = ANSWERS[code]
    super(message, options)
    this.code = code
    this.statusCode = status
  }
}
