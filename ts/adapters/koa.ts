import type { Context, Middleware, Next } from 'koa'
import type { Decision } from '../decision.ts'
import { type MiddlewareFamily, makeMiddleware, noLimits } from '../http/adapter.ts'
import type { RequestLimiter } from '../http/config.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { isFinished } from '../http/node.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import type { Outcome, Refusal } from '../http/response.ts'
import { type HttpShield, openShield, type RequestVerdict } from '../http/shield.ts'
import type { LimitInput } from '../limit/limit.ts'
import { andThen, type MaybePromise } from '../limiter.ts'
import { koaAdapter, reader } from './koa/contexts.ts'
import { errorFor, watchErrors } from './koa/errors.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'

/** Options of {@link rateThrottle}. A `handler` answers with the context: `(ctx, _, error) => { ctx.body = 'no' }`. */
export type RateThrottleOptions = HttpOptions<Context, Context>

declare module 'koa' {
  interface DefaultState {
    /** The decision about this request: of several limits the tightest. */
    rateLimit?: Decision | null | undefined
    /** What the shield says about this request. */
    shield?: RequestVerdict | null | undefined
  }
}

/** Middleware that limits requests, and makes more of its kind. */
export interface RateThrottle
  extends Middleware<object, object>,
    MiddlewareFamily<Context, Context, RateThrottle> {}

/**
 * Limits the requests of a Koa 2 or 3 app.
 *
 * ```ts
 * const limiter = rateThrottle({ limits: '100/minute' })
 * app.use(limiter)                                               // all that comes after it
 * router.get('/search', limiter.limit('10/minute'), search)      // one route of @koa/router
 * ```
 *
 * A refused request never reaches its handler: a `RateLimitExceeded` (429) is thrown, as `ctx.throw` does. Middleware
 * before the limiter may catch it; where none does, it is answered as JSON.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle<const L extends LimitInput>(
  options: CheckedOptions<L, Context, Context> = {},
): RateThrottle {
  const warnings = new Warnings()
  const adapter = koaAdapter(warnings)
  const middleware = makeMiddleware(options as RateThrottleOptions, {
    reader,
    open: (own) => new HttpLimiter(own, adapter, warnings),
    wrap,
    shield: (own) => openShield(own, adapter, warnings),
  })
  return middleware as RateThrottle
}

/** What goes before the handlers of a Koa app. At once where it can. */
type Step = (ctx: Context, next: Next) => unknown

function wrap(limiter: RequestLimiter | undefined, shield: HttpShield | undefined): Step {
  const limited: Step = (ctx, next) => {
    if (limiter === undefined) {
      if (shield === undefined) throw noLimits()
      return next()
    }
    watchErrors(ctx)
    const outcome = limiter.decide(ctx, ctx)
    return outcome instanceof Promise
      ? outcome.then((found) => conclude(limiter, found, ctx, next))
      : conclude(limiter, outcome, ctx, next)
  }
  return shield === undefined ? limited : behind(shield, limited, limiter)
}

/** Goes on with a request that was decided about. */
function conclude(
  limiter: RequestLimiter,
  outcome: Outcome,
  ctx: Context,
  next: Next,
): MaybePromise<unknown> {
  ctx.state.rateLimit = (ctx as { rateLimit?: Decision | null }).rateLimit
  return outcome === undefined ? next() : refuse(limiter, outcome, ctx)
}

/** Answers a refused request as the options say, or throws what error handlers are to see. */
function refuse(limiter: RequestLimiter, refusal: Refusal, ctx: Context): MaybePromise<void> {
  let isHandedOn = false
  const handOn = (): void => {
    isHandedOn = true
  }
  const answered = limiter.refuse(refusal, { request: ctx, response: ctx }, handOn)
  return andThen(answered, () => {
    if (isHandedOn) toss(refusal, ctx)
  })
}

/** A middleware that only sees the requests that the shield lets pass. */
function behind(shield: HttpShield, inner: Step, limiter: RequestLimiter | undefined): Step {
  return (ctx, next) => {
    watchErrors(ctx)
    return andThen(shield.decide(ctx, ctx), (refusal) => {
      ctx.state.shield = (ctx.req as { shield?: RequestVerdict | null }).shield
      if (refusal === undefined) return inner(ctx, next) as MaybePromise<unknown>
      shield.count(refusal, ctx, limiter)
      shield.prepare(refusal, ctx, ctx)
      return toss(refusal, ctx)
    })
  }
}

/** Throws, unless the request was answered meanwhile or its client has left: an error would find no one to tell. */
function toss(refusal: Refusal, ctx: Context): void {
  if (!isFinished(ctx.res)) throw errorFor(refusal, ctx.res)
}
