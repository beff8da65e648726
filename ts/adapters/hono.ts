import type { Context, MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode, StatusCode } from 'hono/utils/http-status'
import type { Decision } from '../decision.ts'
import {
  type HttpAdapter,
  type MiddlewareFamily,
  makeMiddleware,
  noLimits,
} from '../http/adapter.ts'
import { IN_PROCESS, UNKNOWN } from '../http/client.ts'
import type { RequestLimiter } from '../http/config.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { setEach } from '../http/legacy-headers.ts'
import { cut, isFinished } from '../http/node.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import type { Refusal } from '../http/response.ts'
import { onDone, onEnd } from '../http/response-end.ts'
import { type HttpShield, openShield, type RequestVerdict } from '../http/shield.ts'
import type { LimitInput } from '../limit/limit.ts'
import { correctLater, exceptionOf, nodeOf } from './hono/answers.ts'
import { routeOf } from './hono/patterns.ts'
import { connectedTo } from './web/connection.ts'
import { Endings } from './web/endings.ts'
import { watched, withHeaders } from './web/response.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'

/** Options of {@link rateThrottle}. A `handler` answers with a Response: `(c, _, error) => c.text('no', 429)`. */
export type RateThrottleOptions = HttpOptions<Context, Context>

declare module 'hono' {
  interface ContextVariableMap {
    /** The decision about this request: of several limits the tightest. */
    rateLimit: Decision | null | undefined
    /** What the shield says about this request. */
    shield: RequestVerdict | null | undefined
  }
}

/** Middleware that limits requests, and makes more of its kind. */
export interface RateThrottle
  extends MiddlewareHandler,
    MiddlewareFamily<Context, Context, RateThrottle> {}

/**
 * Limits the requests of a Hono app: on Node (`@hono/node-server`), Bun and Deno.
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
  const warnings = new Warnings()
  const middleware = makeMiddleware(options as RateThrottleOptions, {
    reader: HONO as HttpAdapter,
    looksBack: true,
    open: (own) => new HttpLimiter(withResponses(own), honoAdapter(warnings), warnings),
    wrap,
    shield: (own) => openShield(own, honoAdapter(warnings), warnings),
  })
  return middleware as RateThrottle
}

function wrap(
  limiter: RequestLimiter | undefined,
  shield: HttpShield | undefined,
): MiddlewareHandler {
  const limited: MiddlewareHandler = async (c, next) => {
    if (limiter === undefined) throw noLimits()
    const refusal = await limiter.decide(c, c)
    c.set('rateLimit', (c as { rateLimit?: Decision | null }).rateLimit)
    if (refusal !== undefined) {
      await refuse(limiter, refusal, c)
      return c.res
    }
    try {
      await next()
      // A Response that a handler has made itself has none of the headers that were set before it.
      const mark = limiter.markOf(c)
      if (mark !== undefined && !c.res.headers.has(mark)) {
        c.res = withHeaders(c.res, await limiter.headersOf(c, undefined))
      }
      finish(c)
    } catch (error) {
      // Hono answers errors, and throws all else on.
      fail(c)
      throw error
    }
    return
  }
  return shield === undefined ? limited : behind(shield, limiter && limited, limiter)
}

/** A middleware that only sees the requests that the shield lets pass. */
function behind(
  shield: HttpShield,
  inner: MiddlewareHandler | undefined,
  limiter: RequestLimiter | undefined,
): MiddlewareHandler {
  return async (c, next) => {
    const refusal = await shield.decide(c, c)
    c.set('shield', ((nodeOf(c).incoming ?? c) as { shield?: RequestVerdict | null }).shield)
    if (refusal !== undefined) {
      shield.count(refusal, c, limiter)
      shield.prepare(refusal, c, c)
      const headers = shield.headersOf(refusal, c)
      correctLater(c, headers, refusal.statusCode)
      throw await exceptionOf(refusal, headers, c)
    }
    return inner === undefined ? next() : inner(c, next)
  }
}

/** Answers a refused request, or throws what the app's error handler is to see. */
async function refuse(limiter: RequestLimiter, refusal: Refusal, c: Context): Promise<void> {
  const headers = await limiter.headersOf(c, refusal)
  let isHandedOn = false
  const handOn = (): void => {
    isHandedOn = true
  }
  await limiter.refuse(refusal, { request: c, response: c }, handOn)
  if (!isHandedOn) {
    c.res = withHeaders(c.res, headers, refusal.statusCode)
    return
  }
  correctLater(c, headers, refusal.statusCode)
  throw await exceptionOf(refusal, headers, c)
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

/** Hono's contexts, which are request and response in one. */
function honoAdapter(warnings: Warnings): HttpAdapter<Context, Context> {
  const peer = (c: Context): string | undefined => {
    const found = connectedTo(c.req.raw, c.env)
    if (found !== UNKNOWN) return found
    warnings.warnOnce(
      'RATETHROTTLE_NO_CONNECTION',
      'a request came without a connection, as from app.request() in a test or on a runtime that does not tell ' +
        'it: all such clients share one budget. Set option key to tell them apart',
    )
    return IN_PROCESS
  }
  return { ...HONO, peer }
}

/** Who waits for the end of requests that are no `node:http` requests. */
const ENDINGS = new WeakMap<Context, Endings>()

function endingsOf(c: Context): Endings {
  const endings = ENDINGS.get(c) ?? new Endings(c.req.raw.signal)
  ENDINGS.set(c, endings)
  return endings
}

/** The answer is known. */
function finish(c: Context): void {
  const endings = ENDINGS.get(c)
  if (endings === undefined) return
  endings.end(c.res.status)
  if (endings.waitsForBody) {
    c.res = watched(c.res, c.req.method === 'HEAD', () => endings.done())
  }
}

/** There is no answer that could be watched. */
function fail(c: Context): void {
  const endings = ENDINGS.get(c)
  endings?.end(500)
  endings?.done()
}

const HONO: Omit<HttpAdapter<Context, Context>, 'peer'> = {
  incoming: (c) => nodeOf(c).incoming,
  outgoing: (c) => nodeOf(c).outgoing,
  headers: (c) => nodeOf(c).incoming?.headers ?? Object.fromEntries(c.req.raw.headers),
  // A method that is none of the standard's is left as it was written.
  method: (c) => c.req.method.toUpperCase(),
  target: (c) => c.req.path,
  route: routeOf,
  forwarded: () => undefined,
  isProxy: () => false,
  setHeader: (c, name, value) => {
    c.header(name, value)
  },
  setFigures: (c, ...figures) => setEach(HONO, c, figures),
  removeHeader: (c, name) => {
    c.header(name, undefined)
  },
  setStatus: (c, status) => {
    c.status(status as StatusCode)
  },
  isFinished: (c) => {
    const { outgoing } = nodeOf(c)
    return outgoing === undefined ? ENDINGS.get(c)?.isOver === true : isFinished(outgoing)
  },
  onEnd: (c, ended) => {
    const { outgoing } = nodeOf(c)
    return outgoing === undefined ? endingsOf(c).onEnd(ended) : onEnd(outgoing, ended)
  },
  onDone: (c, done) => {
    const { outgoing } = nodeOf(c)
    return outgoing === undefined ? endingsOf(c).onDone(done) : onDone(outgoing, done)
  },
  cut: (c) => {
    const { outgoing } = nodeOf(c)
    if (outgoing !== undefined) cut(outgoing)
  },
  send: (c, status, type, body) => {
    c.header('content-type', type)
    c.res = c.body(body, status as ContentfulStatusCode)
  },
}
