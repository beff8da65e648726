import type { NextFunction, Request, RequestHandler, Response } from 'express'
import type { Decision } from '../decision.ts'
import { Children } from '../http/children.ts'
import { type Controls, controlsOf, noLimits } from '../http/controls.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { nextLimiterName } from '../http/identity.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import type { LimitsFunction } from '../http/request-limits.ts'
import {
  asHttpOptions,
  inheritedFrom,
  ownHttpOptions,
  readHttpOptions,
} from '../http/resolve-options.ts'
import type { Refusal } from '../http/response.ts'
import { Warnings } from '../http/warning.ts'
import type { LimitInput } from '../limit/limit.ts'
import type { CheckedLimits } from '../limit/literal.ts'
import { expressFramework } from './express/framework.ts'
import { hand, noticeApp } from './express/hand.ts'
import { warnOfEarlierRoutes } from './express/late.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'

/** Options of {@link rateThrottle}. */
export type RateThrottleOptions = HttpOptions<Request, Response>

declare global {
  namespace Express {
    interface Request {
      /** The decision about this request: of several limits the tightest. */
      rateLimit?: Decision | null
    }
  }
}

/**
 * Middleware that limits requests, and makes more of its kind. `ready` and `close` speak for those, too;
 * `reset` and `peek` ask the limits of this one alone.
 */
export interface RateThrottle extends RequestHandler, Controls {
  /**
   * Middleware with limits of its own, for a route or a router. What these options say holds for it too,
   * but their limits: `app.get('/search', limiter.limit('10/minute'), search)`.
   */
  limit<const L extends LimitInput>(limits: CheckedLimits<L>): RateThrottle
  limit<const L extends LimitInput>(
    options: LimitsFunction<Request> | CheckedOptions<L, Request, Response>,
  ): RateThrottle
}

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
 * Middlewares in a row all hold: a request is charged to all of them or to none. One middleware counts a
 * request once, however often the request meets it, and has one budget for all routes it stands before.
 * A refused request never reaches its handler: a `RateLimitExceeded` (429) goes to the error handlers of
 * the app, or where it has none is answered as JSON.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle<const L extends LimitInput>(
  options: CheckedOptions<L, Request, Response> = {},
): RateThrottle {
  return makeMiddleware(ownHttpOptions(options as RateThrottleOptions), new Warnings())
}

function makeMiddleware(
  options: RateThrottleOptions,
  warnings: Warnings,
  parents: readonly Family[] = [],
): RateThrottle {
  const guard = makeGuard(options, warnings)
  for (const family of parents) if (guard !== undefined) family.add(guard)
  const family: Family = new Children()
  let isMet = false
  const end = (
    refusal: Refusal,
    request: Request,
    response: Response,
    next: NextFunction,
  ): void => {
    const handOn = (): void => hand(refusal, middleware, request, response, next)
    void guard?.refuse(refusal, { request, response }, handOn)
  }
  const middleware: RequestHandler = (request, response, next) => {
    if (guard === undefined) {
      next(noLimits())
      return
    }
    if (!isMet) {
      noticeApp(request.app)
      warnOfEarlierRoutes(request, middleware, warnings)
    }
    isMet = true
    const refusal = guard.decide(request, response)
    if (refusal === undefined) next()
    else if (!(refusal instanceof Promise)) end(refusal, request, response, next)
    else {
      void refusal.then((found) => {
        if (found === undefined) next()
        else end(found, request, response, next)
      })
    }
  }
  const more = {
    limit: (limits: LimitInput | LimitsFunction<Request> | RateThrottleOptions) => {
      const own = { ...inheritedFrom(options), ...asHttpOptions(limits, 'limit') }
      return makeMiddleware(own, warnings, [...parents, family])
    },
  }
  return Object.assign(middleware, more, controlsOf(guard, family))
}

/** The guards of all that a middleware has made, and of what those have made. */
type Family = Children<HttpLimiter<Request, Response>>

/** Without limits there is nothing to guard; the options are checked all the same. */
function makeGuard(
  options: RateThrottleOptions,
  warnings: Warnings,
): HttpLimiter<Request, Response> | undefined {
  if (options.limits !== undefined) {
    return new HttpLimiter(options, expressFramework(warnings), warnings, nextLimiterName())
  }
  readHttpOptions(options)
  return undefined
}
