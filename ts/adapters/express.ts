import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import type { Decision } from '../decision.ts'
import {
  type HandOn,
  type MiddlewareFamily,
  makeMiddleware,
  noLimits,
  proceed,
} from '../http/adapter.ts'
import type { RequestLimiter } from '../http/config.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { isFinished, NODE } from '../http/node.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import { errorOf, isOpen, type Refusal, sendRefusal } from '../http/response.ts'
import { type HttpShield, openShield, type RequestVerdict } from '../http/shield.ts'
import type { LimitInput } from '../limit/limit.ts'
import { errorPath, warnAboutEarlierRoutes, watchErrors } from './express/internals.ts'
import { expressAdapter } from './express/requests.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'

/** Options of {@link rateThrottle}. */
export type RateThrottleOptions = HttpOptions<Request, Response>

declare global {
  namespace Express {
    interface Request {
      /** The decision about this request: of several limits the tightest. */
      rateLimit?: Decision | null
      /** What the shield says about this request. */
      shield?: RequestVerdict | null
    }
  }
}

/** Middleware that limits requests, and makes more of its kind. */
export interface RateThrottle
  extends RequestHandler,
    MiddlewareFamily<Request, Response, RateThrottle> {}

/**
 * Limits the requests of an Express 4 or 5 server.
 *
 * ```ts
 * const limiter = rateThrottle({ limits: '100/minute' })
 * app.use(limiter)                                               // all that comes after it
 * app.get('/search', limiter.limit('10/minute'), search)         // one route
 * app.post('/report', limiter.limit(['10/minute', '50/hour']), report)
 * ```
 *
 * Several middlewares in a row all apply: a request is charged to all of them or to none. One middleware counts a
 * request once, even if the request passes it several times, and counts all routes that it is used on together.
 * A refused request never reaches its handler: a `RateLimitExceeded` (429) goes to the error handlers of
 * the app, or where it has none is answered as JSON.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle<const L extends LimitInput>(
  options: CheckedOptions<L, Request, Response> = {},
): RateThrottle {
  const warnings = new Warnings()
  const middleware = makeMiddleware(options as RateThrottleOptions, {
    reader: NODE,
    open: (own) => new HttpLimiter(own, expressAdapter(warnings), warnings),
    wrap: (limiter, shield) => wrap(limiter, warnings, shield),
    shield: (own) => openShield(own, expressAdapter(warnings), warnings),
  })
  return middleware as RateThrottle
}

function wrap(
  limiter: RequestLimiter | undefined,
  warnings: Warnings,
  shield: HttpShield | undefined,
): RequestHandler {
  let isFirst = true
  const limited: RequestHandler = (request, response, next) => {
    if (limiter === undefined) {
      next(shield === undefined ? noLimits() : undefined)
      return
    }
    if (isFirst) {
      watchErrors(request.app)
      warnAboutEarlierRoutes(request, middleware, warnings)
      isFirst = false
    }
    const outcome = limiter.decide(request, response)
    if (outcome === undefined) next()
    else proceed(limiter, outcome, request, response, next, handOn)
  }
  // The one that the app has in its stack.
  const middleware = shield === undefined ? limited : behind(shield, limited, limiter, () => handOn)
  const handOn = handOnFrom(middleware)
  return middleware
}

/** A middleware that only sees the requests that the shield lets pass. */
function behind(
  shield: HttpShield,
  inner: RequestHandler,
  limiter: RequestLimiter | undefined,
  handOn: () => HandOn<Request, Response>,
): RequestHandler {
  let isFirst = true
  const limiterOf = (): RequestLimiter | undefined => limiter
  return (request, response, next) => {
    if (isFirst) {
      watchErrors(request.app)
      isFirst = false
    }
    const pass = (): unknown => inner(request, response, next)
    shield.stand(request, response, next, handOn(), pass, limiterOf)
  }
}

/** Refusals by the errors that were made of them. */
const REFUSALS = new WeakMap<object, Refusal>()

/**
 * Hands refusals of a middleware to the error handlers that the request can reach from there, or answers them as
 * JSON if there is none: Express itself would answer an error with a page of HTML and write it to the log.
 *
 * Express decides which error handlers those are: the error takes its usual way, and our own handler comes last.
 */
function handOnFrom(middleware: RequestHandler): HandOn<Request, Response> {
  return (refusal, request, response, next) => {
    // Error handlers would answer a second time, for which Express cuts the connection.
    if (!isOpen(refusal) && isFinished(response)) return
    const { apps, end } = errorPath(request)
    const [own, ...outer] = apps
    const isHandled =
      own !== undefined &&
      (end !== 'default' || own.mayHandle(middleware) || outer.some((app) => app.mayHandle()))
    if (!isHandled) {
      sendRefusal(NODE, response, refusal)
      return
    }
    if (end !== 'unknown') apps.at(-1)?.handleLast(answerRefusal)
    const error = errorOf(refusal)
    REFUSALS.set(error, refusal)
    next(error)
  }
}

const answerRefusal: ErrorRequestHandler = (error, _request, response, next) => {
  const refusal = REFUSALS.get(error as object)
  if (refusal === undefined || isFinished(response)) next(error)
  else sendRefusal(NODE, response, refusal)
}
