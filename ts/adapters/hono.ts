import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context, MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode, StatusCode } from 'hono/utils/http-status'
import type { Decision } from '../decision.ts'
import { bodyOf, errorOf, type Refusal } from './http/denial.ts'
import type { Ending, Framework } from './http/framework.ts'
import { Guard } from './http/guard.ts'
import { identityByTurn } from './http/identity.ts'
import { hasLongBody, isOver, leaveBody, onEnd, peerOf } from './http/node.ts'
import { type HttpOptions, ownHttpOptions } from './http/options.ts'
import { Warnings } from './http/warning.ts'

export { TRUST_EVERYBODY } from '../address/trust.ts'
export { RateLimitExceeded } from '../exceeded.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from './http/keys.ts'
export { RequestRefused } from './http/refused.ts'

/** Options of {@link rateThrottle}. A `handler` answers with a Response: `(c, _, error) => c.text('no', 429)`. */
export type RateThrottleOptions = HttpOptions<Context, Context>

declare module 'hono' {
  interface ContextVariableMap {
    /** The decision about this request: of several limits the tightest. */
    rateLimit: Decision | null | undefined
  }
}

/** What @hono/node-server puts in `c.env`. */
interface NodeBindings {
  readonly incoming?: IncomingMessage
  readonly outgoing?: ServerResponse
}

/**
 * Limits the requests of a Hono app on Node (`@hono/node-server`).
 *
 * ```ts
 * app.use(rateThrottle({ limits: '100/minute' }))
 * ```
 *
 * A refused request never reaches its handler: a `RateLimitExceeded` (429) goes to `app.onError`, or where
 * there is none is answered as JSON.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function rateThrottle(options: RateThrottleOptions): MiddlewareHandler {
  const guard = new Guard(
    withResponses(ownHttpOptions(options)),
    HONO,
    new Warnings(),
    identityByTurn(),
  )
  return async (c, next) => {
    const refusal = await guard.decide(c, c)
    c.set('rateLimit', (c as { rateLimit?: Decision | null }).rateLimit)
    if (refusal !== undefined) {
      if (await guard.answer(refusal, c, c)) return c.res
      throw Object.assign(errorOf(refusal), { getResponse: () => responseOf(refusal) })
    }
    await next()
    for (const ended of ENDINGS.get(c) ?? []) ended(c.res.status)
    return
  }
}

/** Who waits for the end of a request that is no `node:http` request, as in `app.request()`. */
const ENDINGS = new WeakMap<Context, ((ending: Ending) => void)[]>()

const HONO: Framework<Context, Context> = {
  socket: (c) => nodeOf(c).incoming?.socket,
  headers: (c) => nodeOf(c).incoming?.headers ?? Object.fromEntries(c.req.raw.headers),
  method: (c) => c.req.method,
  version: (c) => nodeOf(c).incoming?.httpVersionMajor ?? 1,
  hasLongBody: (c) => {
    const { incoming } = nodeOf(c)
    return incoming !== undefined && hasLongBody(incoming)
  },
  leaveBody: (c) => {
    const { incoming } = nodeOf(c)
    if (incoming !== undefined) leaveBody(incoming)
  },
  client: (c) => {
    const { incoming } = nodeOf(c)
    return incoming === undefined ? undefined : peerOf(incoming)
  },
  followsProxies: () => false,
  setHeader: (c, name, value) => {
    c.header(name, value)
  },
  setStatus: (c, status) => {
    c.status(status as StatusCode)
  },
  isOver: (c) => {
    const { outgoing } = nodeOf(c)
    return outgoing !== undefined && isOver(outgoing)
  },
  onEnd: (c, ended) => {
    const { outgoing } = nodeOf(c)
    if (outgoing !== undefined) onEnd(outgoing, ended)
    else ENDINGS.set(c, [...(ENDINGS.get(c) ?? []), ended])
  },
  send: (c, status, type, body) => {
    c.header('content-type', type)
    c.res = c.body(body, status as ContentfulStatusCode)
  },
}

function nodeOf(c: Context): NodeBindings {
  return (c.env ?? {}) as NodeBindings
}

function responseOf(refusal: NonNullable<Refusal>): Response {
  const { statusCode: status } = refusal
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  return new Response(bodyOf(refusal), { status, headers })
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
