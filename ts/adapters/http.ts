import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { LimitInput } from '../limit/limit.ts'
import type { Answer } from '../tier.ts'
import { then } from './http/answer.ts'
import { type Controls, controlsOf } from './http/controls.ts'
import { bodyOf, type Refusal } from './http/denial.ts'
import { Guard } from './http/guard.ts'
import { identityByTurn } from './http/identity.ts'
import { NODE, send } from './http/node.ts'
import type { CheckedOptions, HttpOptions } from './http/options.ts'
import { ownHttpOptions } from './http/read.ts'
import { Warnings } from './http/warning.ts'

export { TRUST_EVERYBODY } from '../address/trust.ts'
export { RateLimitExceeded } from '../exceeded.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from './http/keys.ts'
export { RequestRefused } from './http/refused.ts'

/** Options of {@link rateThrottle}. */
export type RateThrottleOptions = HttpOptions<IncomingMessage, ServerResponse>

/** Limits for the requests of a `node:http` server. */
export interface RateThrottle extends Controls {
  /**
   * Decides about a request. One that may pass is yours to answer; any other has been answered.
   *
   * @returns whether it may pass
   */
  admit(request: IncomingMessage, response: ServerResponse): Answer<boolean>
  /**
   * The same as a middleware of connect, `@fastify/middie` or Socket.IO's `io.engine.use`: calls `next` for
   * the requests that may pass.
   */
  readonly middleware: (
    request: IncomingMessage,
    response: ServerResponse,
    next: () => void,
  ) => void
  /** A listener that only sees the requests that may pass. */
  wrap(listener: RequestListener): RequestListener
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
  const guard = new Guard(own, NODE, new Warnings(), identityByTurn())
  const admit: RateThrottle['admit'] = (request, response) => {
    const refusal = guard.decide(request, response)
    if (!(refusal instanceof Promise)) return settle(guard, refusal, request, response)
    return refusal.then((found) => settle(guard, found, request, response))
  }
  const middleware: RateThrottle['middleware'] = (request, response, next) => {
    const admitted = admit(request, response)
    if (admitted === true) next()
    else if (admitted instanceof Promise) {
      void admitted.then((isAdmitted) => {
        if (isAdmitted) next()
      })
    }
  }
  return {
    admit,
    middleware,
    wrap: (listener) => (request, response) => {
      const admitted = admit(request, response)
      if (admitted === true) listener(request, response)
      else if (admitted instanceof Promise) {
        void admitted.then((isAdmitted) => {
          if (isAdmitted) listener(request, response)
        })
      }
    },
    ...controlsOf(guard),
  }
}

/** Answers a refused request. A handler of the user's that fails is answered for, too. */
function settle(
  guard: Guard<IncomingMessage, ServerResponse>,
  refusal: Refusal,
  request: IncomingMessage,
  response: ServerResponse,
): Answer<boolean> {
  if (refusal === undefined) return true
  const hand = (): void =>
    send(response, refusal.statusCode, 'application/json; charset=utf-8', bodyOf(refusal))
  const fail = (_: Error, thrown: unknown): void => {
    guard.report(request, thrown)
    hand()
  }
  return then(guard.refuse(refusal, { request, response }, hand, fail), () => false)
}
