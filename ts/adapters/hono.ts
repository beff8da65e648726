import type { Context, MiddlewareHandler } from 'hono'
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
import { honoFramework, tellEnd } from './hono/framework.ts'
import { complete, correctAnswer, exceptionOf, refused } from './hono/refusal.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'

/** Options of {@link rateThrottle}. A `handler` answers with a Response: `(c, _, error) => c.text('no', 429)`. */
export type RateThrottleOptions = HttpOptions<Context, Context>

declare module 'hono' {
  interface ContextVariableMap {
    /** The decision about this request: of several limits the tightest. */
    rateLimit: Decision | null | undefined
  }
}

/**
 * Middleware that limits requests, and makes more of its kind. `ready` and `close` speak for those, too;
 * `reset` and `peek` ask the limits of this one alone.
 */
export interface RateThrottle extends MiddlewareHandler, Controls {
  /**
   * Middleware with limits of its own, for a route. What these options say holds for it too, but their
   * limits: `app.get('/search', limiter.limit('10/minute'), search)`.
   */
  limit<const L extends LimitInput>(limits: CheckedLimits<L>): RateThrottle
  limit<const L extends LimitInput>(
    options: LimitsFunction<Context> | CheckedOptions<L, Context, Context>,
  ): RateThrottle
}

/**
 * Limits the requests of a Hono app on Node (`@hono/node-server`).
 *
 * ```ts
 * app.use(rateThrottle({ limits: '100/minute' }))
 * ```
 *
 * A refused request never reaches its handler: an `HTTPException` (429) goes to `app.onError`, with a
 * `RateLimitExceeded` as its `cause`; where there is no `onError`, it is answered as JSON.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle<const L extends LimitInput>(
  options: CheckedOptions<L, Context, Context> = {},
): RateThrottle {
  return makeMiddleware(ownHttpOptions(options as RateThrottleOptions), new Warnings())
}

function makeMiddleware(
  options: RateThrottleOptions,
  warnings: Warnings,
  parents: readonly Family[] = [],
): RateThrottle {
  const guard = makeGuard(options, warnings)
  const mark = guard?.mark
  for (const family of parents) if (guard !== undefined) family.add(guard)
  const family: Family = new Children()
  const middleware: MiddlewareHandler = async (c, next) => {
    if (guard === undefined) throw noLimits()
    const refusal = await guard.decide(c, c)
    c.set('rateLimit', (c as { rateLimit?: Decision | null }).rateLimit)
    if (refusal !== undefined) {
      await refuse(guard, refusal, c)
      return c.res
    }
    await next()
    if (mark !== undefined && !c.res.headers.has(mark)) await completeResponse(guard, c)
    tellEnd(c)
    return
  }
  const limit = (
    limits: LimitInput | LimitsFunction<Context> | RateThrottleOptions,
  ): RateThrottle => {
    const own = { ...inheritedFrom(options), ...asHttpOptions(limits, 'limit') }
    return makeMiddleware(own, warnings, [...parents, family])
  }
  return Object.assign(middleware, { limit }, controlsOf(guard, family))
}

/** The guards of all that a middleware has made, and of what those have made. */
type Family = Children<HttpLimiter<Context, Context>>

/** Without limits there is nothing to guard; the options are checked all the same. */
function makeGuard(
  options: RateThrottleOptions,
  warnings: Warnings,
): HttpLimiter<Context, Context> | undefined {
  if (options.limits !== undefined) {
    return new HttpLimiter(
      withResponses(options),
      honoFramework(warnings),
      warnings,
      nextLimiterName(),
    )
  }
  readHttpOptions(options)
  return undefined
}

/** Answers a refused request, or throws what the app's error handler is to see. */
async function refuse(
  guard: HttpLimiter<Context, Context>,
  refusal: Refusal,
  c: Context,
): Promise<void> {
  const headers = await guard.headersOf(c, refusal)
  let isHandedOn = false
  const hand = (): void => {
    isHandedOn = true
  }
  await guard.refuse(refusal, { request: c, response: c }, hand)
  if (!isHandedOn) {
    c.res = refused(c.res, refusal.statusCode, headers)
    return
  }
  correctAnswer(c, refusal, headers)
  throw await exceptionOf(refusal, headers, c)
}

/** A handler's own Response has none of the headers that were set before it. */
async function completeResponse(guard: HttpLimiter<Context, Context>, c: Context): Promise<void> {
  c.res = complete(c.res, await guard.headersOf(c, undefined))
}

/** Hono's handlers return what they answer. */
function withResponses({ handler, ...options }: RateThrottleOptions): RateThrottleOptions {
  if (typeof handler !== 'function') return { ...options, handler }
  return {
    ...options,
    handler: async (c, same, error) => {
      const answer = await handler(c, same, error)
      if (answer instanceof Response) c.res = answer
    },
  }
}
