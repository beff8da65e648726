import type { Decision } from '../decision.ts'
import { mustBe } from '../errors.ts'
import { RateLimitExceeded } from '../exceeded.ts'
import { type HeaderStyle, type SetHeader, setLegacyHeaders } from '../headers.ts'
import type { LimitInput } from '../limit/limit.ts'
import { RateLimiter } from '../limiter.ts'
import { LIMITER_OPTIONS, ownOptions, type RateLimiterOptions, resolveOptions } from '../options.ts'

/** Names the caller of a request. */
export type KeyFunction<Request> = (request: Request) => string

/** What every HTTP adapter takes: a limiter's options, and who is limited and told what. */
export interface HttpOptions<Request> extends RateLimiterOptions {
  /** One or several limits. */
  readonly limits?: LimitInput | undefined
  /** Names the caller. Default: the client's address, as the framework's proxy setting resolves it. */
  readonly key?: KeyFunction<Request> | undefined
  /** Headers of every limited response. Default: `'legacy'`. */
  readonly headers?: HeaderStyle | undefined
}

/** Throws unless the options are known and, but for the limits, right. */
export function checkHttpOptions<Request>(options: HttpOptions<Request>): void {
  const own = ownOptions(options, ['limits', 'key', 'headers', ...LIMITER_OPTIONS])
  const { limits: _limits, key, headers, ...rest } = own
  if (key !== undefined && typeof key !== 'function') {
    throw new TypeError(mustBe('key', 'a function of the request that returns a string', key))
  }
  if (headers !== undefined && headers !== 'legacy' && headers !== false) {
    throw new RangeError(mustBe('headers', '"legacy" or false', headers))
  }
  resolveOptions(rest)
}

/** One or several limits on the requests that somebody guards with it. No framework in it. */
export class Guard<Request> {
  readonly #limiter: RateLimiter
  readonly #key: KeyFunction<Request>
  readonly #headers: HeaderStyle

  /** Throws whatever the limiter throws about its options, and about `key` and `headers`. */
  constructor(options: HttpOptions<Request>, defaultKey: KeyFunction<Request>) {
    checkHttpOptions(options)
    const { limits, key = defaultKey, headers = 'legacy', ...rest } = options
    this.#limiter = new RateLimiter(limits as LimitInput, rest)
    this.#key = key
    this.#headers = headers
  }

  /**
   * Decides about a request and sets its headers.
   *
   * @returns the error to answer with, or undefined if the request may pass
   */
  decide(request: Request, set: SetHeader): RateLimitExceeded | undefined {
    const decision = this.#limiter.check(this.#key(request))
    if (this.#headers === 'legacy') setLegacyHeaders(decision, set)
    return decision.allowed ? undefined : refuse(decision, set)
  }

  /** Lets go of the limiter. */
  close(): void {
    this.#limiter.close()
  }
}

/** `Retry-After` is sent whatever `headers` says, unless waiting would not help. */
function refuse(decision: Decision, set: SetHeader): RateLimitExceeded {
  const error = withoutStack(() => new RateLimitExceeded(decision))
  if (error.retryAfter !== Number.POSITIVE_INFINITY) set('retry-after', error.retryAfter)
  return error
}

/** A denial is no bug: where it was made interests nobody, and finding out costs more than deciding. */
function withoutStack<T>(make: () => T): T {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}
