import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { type Controls, controlsOf } from '../http/controls.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { nextLimiterName } from '../http/identity.ts'
import { NODE, send } from '../http/node.ts'
import { NotAwaited } from '../http/not-awaited.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import { ownHttpOptions } from '../http/resolve-options.ts'
import { bodyOf, type Outcome } from '../http/response.ts'
import { Warnings } from '../http/warning.ts'
import type { LimitInput } from '../limit/limit.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'

/** Options of {@link rateThrottle}. */
export type RateThrottleOptions = HttpOptions<IncomingMessage, ServerResponse>

/** A request of `node:http`, or of `node:http2` in the form that is like it. */
type AnyRequest = IncomingMessage | Http2ServerRequest
/** Its response. */
type AnyResponse = ServerResponse | Http2ServerResponse

/** As the listener that is wrapped, and for a server whose types don't say which of the two it has. */
type Wrapped<Request, Response> = ((request: Request, response: Response) => void) &
  ((request: AnyRequest, response: AnyResponse) => void)

/** Limits for the requests of a `node:http` server, or of one of `node:http2`. */
export interface RateThrottle extends Controls {
  /**
   * Decides about a request. One that may pass is yours to answer; any other has been answered. Always write
   * `await`: `if (await limiter.admit(request, response)) response.end('hello')`. `wrap` and `middleware` do it
   * for you.
   *
   * @returns whether it may pass: at once, or as a promise, where the store, an option or `handler` takes time
   */
  admit(request: AnyRequest, response: AnyResponse): MaybePromise<boolean>
  /**
   * The same as a middleware of connect, `@fastify/middie` or Socket.IO's `io.engine.use`: calls `next` for
   * the requests that may pass.
   */
  readonly middleware: (request: AnyRequest, response: AnyResponse, next: () => void) => void
  /** A listener that only sees the requests that may pass. */
  wrap<Request extends AnyRequest = IncomingMessage, Response extends AnyResponse = ServerResponse>(
    listener: (request: Request, response: Response) => void,
  ): Wrapped<Request, Response>
}

/**
 * Limits the requests of a `node:http` server, or of any framework that has its requests and responses.
 *
 * ```ts
 * const limiter = rateThrottle({ limits: '100/minute' })
 * createServer(limiter.wrap((request, response) => response.end('hello'))).listen(3000)
 * ```
 *
 * A refused request is answered as JSON: `{ statusCode, code, message }`.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle<const L extends LimitInput>(
  options: CheckedOptions<L, IncomingMessage, ServerResponse>,
): RateThrottle {
  const own = ownHttpOptions(options as RateThrottleOptions)
  const warnings = new Warnings()
  const guard = new HttpLimiter(own, NODE, warnings, nextLimiterName())
  const notAwaited = new NotAwaited(warnings)
  const admitFor = (request: AnyRequest, response: AnyResponse): MaybePromise<boolean> =>
    // HTTP/2 has the same in classes of its own.
    admit(guard, request as IncomingMessage, response as ServerResponse)
  const middleware: RateThrottle['middleware'] = (request, response, next) => {
    const admitted = admitFor(request, response)
    if (admitted === true) next()
    else if (admitted instanceof Promise) {
      void admitted.then((isAdmitted) => {
        if (isAdmitted) next()
      })
    }
  }
  return {
    admit: (request, response) =>
      admit(guard, request as IncomingMessage, response as ServerResponse, notAwaited),
    middleware,
    wrap: (listener) => (request: AnyRequest, response: AnyResponse) => {
      const pass = listener as (request: AnyRequest, response: AnyResponse) => void
      const admitted = admitFor(request, response)
      if (admitted === true) pass(request, response)
      else if (admitted instanceof Promise) {
        void admitted.then((isAdmitted) => {
          if (isAdmitted) pass(request, response)
        })
      }
    },
    ...controlsOf(guard),
  }
}

/** @param caller hears of a listener that takes the promise for an answer */
function admit(
  guard: HttpLimiter<IncomingMessage, ServerResponse>,
  request: IncomingMessage,
  response: ServerResponse,
  caller?: NotAwaited,
): MaybePromise<boolean> {
  const wasAnswered = response.headersSent
  const refusal = guard.decide(request, response)
  if (!(refusal instanceof Promise)) return settle(guard, refusal, request, response, caller)
  return refusal.then((found) => {
    if (!wasAnswered) caller?.decided(response)
    return settle(guard, found, request, response, caller)
  })
}

/** Answers a refused request. */
function settle(
  guard: HttpLimiter<IncomingMessage, ServerResponse>,
  refusal: Outcome,
  request: IncomingMessage,
  response: ServerResponse,
  caller: NotAwaited | undefined,
): MaybePromise<boolean> {
  if (refusal === undefined) return true
  const hand = (): void =>
    send(response, refusal.statusCode, 'application/json; charset=utf-8', bodyOf(refusal))
  const answered = guard.refuse(refusal, { request, response }, hand)
  if (answered instanceof Promise) caller?.answering(response)
  return andThen(answered, () => false)
}
