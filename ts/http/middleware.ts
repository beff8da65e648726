import type { LimitInput } from '../limit/limit.ts'
import type { CheckedLimits } from '../limit/literal.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { Children, type Controls, controlsOf } from './controls.ts'
import type { HttpLimiter } from './http-limiter.ts'
import type { CheckedOptions, HttpOptions } from './options.ts'
import type { LimitsFunction } from './request-limits.ts'
import { asHttpOptions, inheritedFrom, readHttpOptions } from './resolve-options.ts'
import type { Outcome, Refusal } from './response.ts'

/** Hands a refusal to the error handling of a framework, or answers it as JSON where it has none. */
export type HandOn<Request, Response> = (
  refusal: Refusal,
  request: Request,
  response: Response,
  next: (error?: Error) => void,
) => void

/**
 * Goes on with a request that was not admitted at once: it is still being decided about, or refused.
 *
 * @param next called if it may pass
 */
export function proceed<Request extends object, Response extends object>(
  limiter: HttpLimiter<Request, Response>,
  outcome: MaybePromise<Outcome>,
  request: Request,
  response: Response,
  next: (error?: Error) => void,
  handOn: HandOn<Request, Response>,
): void {
  if (outcome === undefined) next()
  else if (outcome instanceof Promise) {
    void outcome.then((found) => proceed(limiter, found, request, response, next, handOn))
  } else {
    void limiter.refuse(outcome, { request, response }, () =>
      handOn(outcome, request, response, next),
    )
  }
}

/** A middleware that makes more of its kind. `ready` and `close` speak for those, too; `reset` and `peek` do not. */
export interface MiddlewareFamily<Request, Response, Self> extends Controls {
  /**
   * Middleware with limits of its own, for a route or a router. It has the same options but for the limits:
   * `app.get('/search', limiter.limit('10/minute'), search)`.
   */
  limit<const L extends LimitInput>(limits: CheckedLimits<L>): Self
  limit<const L extends LimitInput>(
    options: LimitsFunction<Request> | CheckedOptions<L, Request, Response>,
  ): Self
}

/** How an adapter makes its middleware. */
export interface MiddlewareMaker<Request extends object, Response extends object, Middleware> {
  open(options: HttpOptions<Request, Response>): HttpLimiter<Request, Response>
  /** @param limiter `undefined` for a middleware without limits, which only makes others */
  wrap(limiter: HttpLimiter<Request, Response> | undefined): Middleware
}

/** Makes a middleware with its `limit` and its controls. */
export function makeMiddleware<
  Request extends object,
  Response extends object,
  Middleware extends object,
>(
  options: HttpOptions<Request, Response>,
  maker: MiddlewareMaker<Request, Response, Middleware>,
  parents: readonly Children<HttpLimiter<Request, Response>>[] = [],
): Middleware & Controls & { readonly limit: object } {
  const limiter = options.limits === undefined ? undefined : maker.open(options)
  // Without limits the options are checked all the same.
  if (limiter === undefined) readHttpOptions(options)
  else for (const parent of parents) parent.add(limiter)
  const made = new Children<HttpLimiter<Request, Response>>()
  const limit = (
    given: LimitInput | LimitsFunction<Request> | HttpOptions<Request, Response>,
  ): object => {
    const own = { ...inheritedFrom(options), ...asHttpOptions(given, 'limit') }
    return makeMiddleware(own, maker, [...parents, made])
  }
  return Object.assign(maker.wrap(limiter), { limit }, controlsOf(limiter, made))
}
