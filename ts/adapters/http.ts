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

/**
 * The options that are `options`' own.
 *
 * @throws TypeError or RangeError unless they are known and, but for the limits, right
 */
export function readHttpOptions<Request>(options: HttpOptions<Request>): HttpOptions<Request> {
  const own = ownOptions(options, ['limits', 'key', 'headers', ...LIMITER_OPTIONS])
  const { limits: _limits, key, headers, ...rest } = own
  if (key !== undefined && typeof key !== 'function') {
    throw new TypeError(mustBe('key', 'a function of the request that returns a string', key))
  }
  if (headers !== undefined && headers !== 'legacy' && headers !== false) {
    throw new RangeError(mustBe('headers', '"legacy" or false', headers))
  }
  resolveOptions(rest)
  return own
}

/** What a framework adapter tells about its requests and responses. */
export interface Framework<Request, Response> {
  /** The key of a request when the options name none. */
  readonly address: KeyFunction<Request>
  readonly setHeader: SetHeader<Response>
}

/** One or several limits on the requests that somebody guards with it. No framework in it. */
export class Guard<Request, Response> {
  readonly #limiter: RateLimiter
  readonly #key: KeyFunction<Request>
  readonly #headers: HeaderStyle
  readonly #setHeader: SetHeader<Response>

  /** Throws whatever the limiter throws about its options, and about `key` and `headers`. */
  constructor(options: HttpOptions<Request>, framework: Framework<Request, Response>) {
    const { limits, key, headers, ...rest } = readHttpOptions(options)
    this.#limiter = new RateLimiter(limits as LimitInput, rest)
    this.#key = key ?? framework.address
    this.#headers = headers ?? 'legacy'
    this.#setHeader = framework.setHeader
  }

  /**
   * Decides about a request and sets the headers of its response.
   *
   * @returns the error to answer with, or undefined if the request may pass
   */
  decide(request: Request, response: Response): RateLimitExceeded | undefined {
    const key = this.#key
    const decision = this.#limiter.check(key(request))
    if (this.#headers === 'legacy') setLegacyHeaders(decision, response, this.#setHeader)
    return decision.allowed ? undefined : this.#refuse(decision, response)
  }

  /** Lets go of the limiter. */
  close(): void {
    this.#limiter.close()
  }

  /** `Retry-After` is sent whatever `headers` says, unless waiting would not help. */
  #refuse(decision: Decision, response: Response): RateLimitExceeded {
    const error = withoutStack(decision)
    const { retryAfter } = error
    if (retryAfter !== Number.POSITIVE_INFINITY) {
      this.#setHeader(response, 'retry-after', String(retryAfter))
    }
    return error
  }
}

/** A denial is no bug: where it was made interests nobody, and finding out costs more than deciding. */
function withoutStack(decision: Decision): RateLimitExceeded {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return new RateLimitExceeded(decision)
  } finally {
    Error.stackTraceLimit = limit
  }
}
