import type { Decision } from '../decision.ts'
import { type MiddlewareFamily, makeMiddleware, noLimits } from '../http/adapter.ts'
import type { RequestLimiter } from '../http/config.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import { bodyOf, type Refusal, typeOf } from '../http/response.ts'
import { type HttpShield, openShield } from '../http/shield.ts'
import type { LimitInput } from '../limit/limit.ts'
import { andThen, isThenable, type MaybePromise } from '../limiter.ts'
import { invalid, optionalFunction } from '../validate.ts'
import { type AddressFunction, webAdapter } from './web/adapter.ts'
import { Answer } from './web/answer.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'
export type { AddressFunction }

/** What a runtime gives a handler beside the request, where the program does not say what that is. */
// biome-ignore lint/suspicious/noExplicitAny: `address: (request, info) => info.remoteAddress` is to compile as it is
type AnyInfo = any

/** Where a request came from, for runtimes that do not tell. */
interface AddressOption<Info> {
  /**
   * The address at the other end of the connection. Default: what Node, Bun and Deno say of it. With option `trust`,
   * forwarded addresses are followed from there.
   */
  readonly address?: AddressFunction<Info> | undefined
}

/** Options of {@link rateThrottle}. A `handler` answers with a Response: `(request, info, error) => Response`. */
export type RateThrottleOptions<Info = AnyInfo> = HttpOptions<Request, Info> & AddressOption<Info>

/** What a limiter says about a request. */
export interface CheckedRequest {
  /** What to answer with, if the request is refused. */
  readonly response: Response | undefined
  /** Headers for the program's own answer. */
  readonly headers: Readonly<Record<string, string>>
  /** The decision: of several limits the tightest. `undefined` for a request that was not counted. */
  readonly decision: Decision | undefined
  /**
   * The program's own answer with the headers. Tells the limiter how the request was answered, for options
   * `countWhen`, `concurrent` and `shield`.
   */
  apply(response: Response): Response
}

/** A fetch handler, with whatever its runtime gives it beside the request. */
type Handler<Asked extends Request, More extends readonly unknown[]> = (
  request: Asked,
  ...more: More
) => MaybePromise<Response>

/** As the handler that is wrapped, and for a caller that gives more than it takes. */
type Wrapped<Asked extends Request, More extends readonly unknown[]> = Handler<Asked, More> &
  Handler<Request, readonly unknown[]>

/** Limits for requests and responses of the Fetch standard. */
export interface RateThrottle<Info = AnyInfo>
  extends MiddlewareFamily<Request, Info, RateThrottle<Info>> {
  /**
   * Decides about a request. Always a promise, so that a program works the same whatever its storage.
   *
   * ```ts
   * const { response, headers } = await limiter.check(request, info)
   * if (response !== undefined) return response
   * ```
   *
   * @param info what the runtime gives beside the request, and option `address` takes
   */
  check(request: Request, info?: Info): Promise<CheckedRequest>
  /** A handler that only sees the requests that may pass, and whose responses have the headers. */
  wrap<Asked extends Request, More extends readonly unknown[]>(
    handler: Handler<Asked, More>,
  ): Wrapped<Asked, More>
}

/**
 * Limits requests of the Fetch standard, on Node, Bun and Deno, in any framework that has `Request` and `Response`.
 *
 * ```ts
 * const limiter = rateThrottle({ limits: '100/minute' })
 * const handler = limiter.wrap((request) => new Response('hello'))
 * ```
 *
 * A refused request is answered as JSON: `{ statusCode, code, message }`.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle<const L extends LimitInput, Info = AnyInfo>(
  options: CheckedOptions<L, Request, Info> & AddressOption<Info>,
): RateThrottle<Info> {
  const [address, own] = takeAddress(options)
  const warnings = new Warnings()
  const adapter = webAdapter(address)
  return makeMiddleware(own, {
    reader: adapter,
    open: (given) => new HttpLimiter(withResponses(given), adapter, warnings),
    wrap: (limiter, shield) => new WebLimiter(limiter, shield).face(),
    shield: (given) => openShield(given, adapter, warnings),
  }) as object as RateThrottle<Info>
}

type OwnOptions = HttpOptions<Request, unknown>

function takeAddress(options: unknown): [AddressFunction<unknown> | undefined, OwnOptions] {
  const isObject = typeof options === 'object' && options !== null
  if (!isObject || !Object.hasOwn(options, 'address')) return [undefined, options as OwnOptions]
  const { address, ...own } = options as OwnOptions & { address: unknown }
  return [optionalFunction<AddressFunction<unknown>>(address, 'address'), own]
}

/** A handler returns what it answers with, and gets what the program's own handlers get. */
function withResponses({ handler, ...options }: OwnOptions): OwnOptions {
  if (typeof handler !== 'function') return { ...options, handler }
  return {
    ...options,
    handler: async (request, answer, error) => {
      const own = answer as Answer
      const made = await handler(request, own.info, error)
      if (made instanceof Response) own.refused = made
    },
  }
}

/** One limiter, and the shield before it. */
class WebLimiter {
  readonly #limiter: RequestLimiter | undefined
  readonly #shield: HttpShield | undefined

  constructor(limiter: RequestLimiter | undefined, shield: HttpShield | undefined) {
    this.#limiter = limiter
    this.#shield = shield
  }

  face(): Pick<RateThrottle, 'check' | 'wrap'> {
    return {
      check: (request, info) => this.#check(request, info),
      wrap: (handler) => this.#wrap(handler as never) as never,
    }
  }

  async #check(request: Request, info: unknown): Promise<CheckedRequest> {
    const answer = Answer.to(checked(request), info)
    const response = await this.#refusalOf(answer)
    answer.handOver()
    const { rateLimit } = request as { rateLimit?: Decision | null }
    return {
      response,
      headers: { ...answer.headers },
      decision: rateLimit ?? undefined,
      apply: (own) => answer.finish(own),
    }
  }

  #wrap(handler: Handler<Request, readonly unknown[]>): Handler<Request, readonly unknown[]> {
    if (typeof handler !== 'function') {
      const accepted = 'a function that answers a request, such as app.fetch'
      throw invalid(TypeError, 'INVALID_ARGUMENT', 'handler', accepted, handler)
    }
    return (request, ...more) => {
      const answer = Answer.to(checked(request), more[0])
      return andThen(this.#refusalOf(answer), (refused) =>
        refused === undefined ? run(answer, () => handler(request, ...more)) : refused,
      )
    }
  }

  /** What a request is answered with that may not pass. */
  #refusalOf(answer: Answer): MaybePromise<Response | undefined> {
    const limiter = this.#limiter
    const shield = this.#shield
    if (shield === undefined) {
      if (limiter === undefined) throw noLimits()
      return limited(limiter, answer)
    }
    return andThen(shield.decide(answer.request, answer), (refusal) => {
      if (refusal === undefined) return limiter && limited(limiter, answer)
      shield.count(refusal, answer.request, limiter)
      shield.prepare(refusal, answer.request, answer)
      return refusedWith(answer, refusal)
    })
  }
}

/** @throws TypeError for what is no request, such as that of another framework */
function checked(request: unknown): Request {
  const { url, method, headers } = (request ?? {}) as Partial<Request>
  const isRequest = typeof url === 'string' && typeof method === 'string'
  if (isRequest && typeof headers?.get === 'function') return request as Request
  const accepted = 'a Request of the Fetch standard'
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'request', accepted, request)
}

function limited(limiter: RequestLimiter, answer: Answer): MaybePromise<Response | undefined> {
  return andThen(limiter.decide(answer.request, answer), (refusal) => {
    if (refusal === undefined) return undefined
    const exchange = { request: answer.request, response: answer }
    const answered = limiter.refuse(refusal, exchange, () => {
      answer.refused = undefined
    })
    return andThen(answered, () => refusedWith(answer, refusal))
  })
}

/** The answer that an option has made, or else the usual one. */
function refusedWith(answer: Answer, refusal: Refusal): Response {
  const { statusCode } = refusal
  const headers = { 'content-type': typeOf(refusal) }
  answer.refused ??= new Response(bodyOf(refusal), { status: statusCode, headers })
  return answer.finish(answer.refused, statusCode)
}

/** Calls the program's handler. */
function run(answer: Answer, handler: () => MaybePromise<Response>): MaybePromise<Response> {
  const failed = (error: unknown): never => {
    answer.fail()
    throw error
  }
  try {
    const made = handler()
    if (!isThenable(made)) return answer.finish(made)
    return Promise.resolve(made).then((response) => answer.finish(response), failed)
  } catch (error) {
    return failed(error)
  }
}
