import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { type Controls, controlsOf, proceed } from '../http/adapter.ts'
import { openConfigured, type RequestLimiter } from '../http/config.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { NODE } from '../http/node.ts'
import {
  type CheckedOptions,
  type HttpOptions,
  limitsAny,
  ownHttpOptions,
  resolveHttpOptions,
} from '../http/options.ts'
import { type Outcome, type Refusal, sendRefusal } from '../http/response.ts'
import { type HttpShield, openShield, orClose, withoutShield } from '../http/shield.ts'
import type { LimitInput } from '../limit/limit.ts'
import { andThen, type MaybePromise } from '../limiter.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
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
  const configured = openConfigured(own, {
    reader: NODE,
    open: (options) => new HttpLimiter(options, NODE, warnings),
    shield: (options) => openShield(options, NODE, warnings),
  })
  if (configured !== undefined) return shielded(configured.shield, configured.limiter, warnings)
  const shield = openShield(own, NODE, warnings)
  // The classes of HTTP/2 have the same methods.
  const limiter = orClose(shield, () => openLimiter(withoutShield(own), shield, warnings))
  if (shield !== undefined) return shielded(shield, limiter, warnings)
  return limiting(limiter as HttpLimiter, warnings)
}

/** @returns `undefined` for a shield without limits behind it */
function openLimiter(
  own: RateThrottleOptions,
  shield: HttpShield | undefined,
  warnings: Warnings,
): RequestLimiter | undefined {
  if (shield === undefined || limitsAny(own)) return new HttpLimiter(own, NODE, warnings)
  resolveHttpOptions(own)
  return undefined
}

function limiting(limiter: RequestLimiter, warnings: Warnings): RateThrottle {
  const middleware: RateThrottle['middleware'] = (request, response, next) => {
    const outcome = limiter.decide(request, response)
    if (outcome === undefined) next()
    else proceed(limiter, outcome, request, response, next, answer)
  }
  return {
    admit: admitter(limiter, warnings) as RateThrottle['admit'],
    middleware,
    wrap: (listener) => (request: AnyRequest, response: AnyResponse) => {
      const pass = listener as (request: AnyRequest, response: AnyResponse) => void
      const outcome = limiter.decide(request, response)
      if (outcome === undefined) pass(request, response)
      else proceed(limiter, outcome, request, response, () => pass(request, response), answer)
    },
    ...controlsOf(limiter),
  }
}

/** The same behind a shield. */
function shielded(
  shield: HttpShield,
  limiter: RequestLimiter | undefined,
  warnings: Warnings,
): RateThrottle {
  const inner = limiter && limiting(limiter, warnings)
  const limiterOf = (): RequestLimiter | undefined => limiter
  const middleware: RateThrottle['middleware'] = (request, response, next) => {
    const pass = inner === undefined ? next : () => inner.middleware(request, response, next)
    shield.stand(request, response, next, answer, pass, limiterOf)
  }
  const { close, ...controls } = controlsOf(limiter)
  return {
    admit: shieldedAdmitter(shield, inner, limiter, warnings),
    middleware,
    wrap: (listener) => (request: AnyRequest, response: AnyResponse) => {
      const pass = listener as (request: AnyRequest, response: AnyResponse) => void
      middleware(request, response, () => pass(request, response))
    },
    ...controls,
    close: () => {
      close()
      shield.close()
    },
  }
}

function shieldedAdmitter(
  shield: HttpShield,
  inner: RateThrottle | undefined,
  limiter: RequestLimiter | undefined,
  warnings: Warnings,
): RateThrottle['admit'] {
  const conclude = (refusal: Outcome, request: AnyRequest, response: AnyResponse) => {
    if (refusal === undefined) return inner?.admit(request, response) ?? true
    shield.count(refusal, request, limiter)
    shield.prepare(refusal, request, response)
    answer(refusal, request, response)
    return false
  }
  return (request, response) => {
    const wasAnswered = response.headersSent
    const outcome = shield.decide(request, response)
    if (!(outcome instanceof Promise)) return conclude(outcome, request, response)
    return outcome.then((refusal) => {
      if (!wasAnswered && isAnswered(response)) warnOfAnswer(warnings)
      return conclude(refusal, request, response)
    })
  }
}

function answer(refusal: Refusal, _request: object, response: object): void {
  sendRefusal(NODE, response, refusal)
}

function admitter(
  limiter: RequestLimiter,
  warnings: Warnings,
): (request: object, response: ServerResponse) => MaybePromise<boolean> {
  const refuse = (refusal: Refusal, request: object, response: ServerResponse) => {
    const handOn = (): void => sendRefusal(NODE, response, refusal)
    const answered = limiter.refuse(refusal, { request, response }, handOn)
    if (answered instanceof Promise) warnOfLaterAnswers(response, warnings)
    return andThen(answered, () => false)
  }
  return (request, response) => {
    const wasAnswered = response.headersSent
    const outcome = limiter.decide(request, response)
    if (outcome === undefined) return true
    if (!(outcome instanceof Promise)) return refuse(outcome, request, response)
    return outcome.then((found) => {
      // Until now the response was not the listener's to answer.
      if (!wasAnswered && isAnswered(response)) warnOfAnswer(warnings)
      return found === undefined || refuse(found, request, response)
    })
  }
}

function isAnswered(response: AnyResponse): boolean {
  return response.headersSent || response.writableEnded
}

/** Warns of a listener that does not await `admit`: it has taken the promise for an admission, and has answered. */
function warnOfAnswer(warnings: Warnings): void {
  warnings.warnOnce(
    'RATETHROTTLE_NOT_AWAITED',
    'a request was answered before the limiter had decided: admit(request, response) may return a promise, ' +
      'which is always truthy. Write `await limiter.admit(request, response)`, or use `limiter.wrap`',
  )
}

/**
 * While a user's handler takes its time, a listener that does not await `admit` may answer. What the handler
 * writes then is an error of the response, which would end the process.
 */
function warnOfLaterAnswers(response: ServerResponse, warnings: Warnings): void {
  response.on('error', (error: Error & { code?: string }) => {
    if (error.code === 'ERR_STREAM_WRITE_AFTER_END') warnOfAnswer(warnings)
    // As without this listener.
    else if (response.listenerCount('error') === 1) throw error
  })
  const { end } = response
  // Where the connection has moved on, there is no such error.
  const ending = (...parts: Parameters<typeof end>): ServerResponse => {
    if (response.writableEnded) warnOfAnswer(warnings)
    return end.apply(response, parts)
  }
  response.end = ending as typeof end
}
