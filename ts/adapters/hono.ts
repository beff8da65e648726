import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context, MiddlewareHandler } from 'hono'
import type { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode, StatusCode } from 'hono/utils/http-status'
import type { Decision } from '../decision.ts'
import { markExceeded, RateLimitExceeded } from '../errors.ts'
import {
  type Ending,
  type HttpAdapter,
  type MiddlewareFamily,
  makeMiddleware,
  noLimits,
} from '../http/adapter.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { setEach } from '../http/legacy-headers.ts'
import { cut, isFinished, onEnd, peerOf } from '../http/node.ts'
import type { CheckedOptions, HttpOptions } from '../http/options.ts'
import { bodyOf, errorOf, JSON_TYPE, type Refusal, withoutStack } from '../http/response.ts'
import type { LimitInput } from '../limit/limit.ts'
import type { MaybePromise } from '../limiter.ts'

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

/** Middleware that limits requests, and makes more of its kind. */
export interface RateThrottle
  extends MiddlewareHandler,
    MiddlewareFamily<Context, Context, RateThrottle> {}

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
  const warnings = new Warnings()
  const middleware = makeMiddleware(options as RateThrottleOptions, {
    open: (own) => new HttpLimiter(withResponses(own), honoAdapter(warnings), warnings),
    wrap,
  })
  return middleware as RateThrottle
}

function wrap(limiter: HttpLimiter | undefined): MiddlewareHandler {
  const mark = limiter?.mark
  return async (c, next) => {
    if (limiter === undefined) throw noLimits()
    const refusal = await limiter.decide(c, c)
    c.set('rateLimit', (c as { rateLimit?: Decision | null }).rateLimit)
    if (refusal !== undefined) {
      await refuse(limiter, refusal, c)
      return c.res
    }
    await next()
    // A Response that a handler has made itself has none of the headers that were set before it.
    if (mark !== undefined && !c.res.headers.has(mark)) {
      c.res = corrected(c.res, await limiter.headersOf(c, undefined))
    }
    for (const ended of ENDINGS.get(c) ?? []) ended(c.res.status)
    return
  }
}

/** Answers a refused request, or throws what the app's error handler is to see. */
async function refuse(limiter: HttpLimiter, refusal: Refusal, c: Context): Promise<void> {
  const headers = await limiter.headersOf(c, refusal)
  let isHandedOn = false
  const handOn = (): void => {
    isHandedOn = true
  }
  await limiter.refuse(refusal, { request: c, response: c }, handOn)
  if (!isHandedOn) {
    c.res = corrected(c.res, headers, refusal.statusCode)
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

/** The address of all clients without a connection. No proxy has it, so none of them is trusted. */
const IN_PROCESS = 'in-process'

/** Hono's contexts, which are request and response in one. */
function honoAdapter(warnings: Warnings): HttpAdapter<Context, Context> {
  const peer = (c: Context): string | undefined => {
    const { incoming } = nodeOf(c)
    if (incoming !== undefined) return peerOf(incoming)
    warnings.warnOnce(
      'RATETHROTTLE_NO_CONNECTION',
      'a request came without a connection of node:http, as from app.request() in a test or on another ' +
        'runtime: all such clients share one budget. Set option key to tell them apart',
    )
    return IN_PROCESS
  }
  return { ...HONO, peer }
}

/** Callbacks for the end of requests that are no `node:http` requests. */
const ENDINGS = new WeakMap<Context, Set<(ending: Ending) => void>>()

const HONO: Omit<HttpAdapter<Context, Context>, 'peer'> = {
  incoming: (c) => nodeOf(c).incoming,
  headers: (c) => nodeOf(c).incoming?.headers ?? Object.fromEntries(c.req.raw.headers),
  method: (c) => c.req.method,
  forwarded: () => undefined,
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
    return outgoing !== undefined && isFinished(outgoing)
  },
  onEnd: (c, ended) => {
    const { outgoing } = nodeOf(c)
    if (outgoing !== undefined) return onEnd(outgoing, ended)
    const waiting = ENDINGS.get(c) ?? new Set()
    ENDINGS.set(c, waiting.add(ended))
    return () => {
      waiting.delete(ended)
    }
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

/** What @hono/node-server puts in `c.env`. */
interface NodeBindings {
  readonly incoming?: IncomingMessage
  readonly outgoing?: ServerResponse
}

/** The request and the response of node:http behind a context, where there are any. */
function nodeOf(c: Context): NodeBindings {
  return (c.env ?? {}) as NodeBindings
}

/**
 * A refusal as Hono's own error: an `HTTPException` whose response is the answer, with the `RateLimitExceeded` as
 * its `cause` and the same fields. It is an instance of both.
 */
async function exceptionOf(
  refusal: Refusal,
  headers: Record<string, string>,
  c: Context,
): Promise<HTTPException> {
  const Exception = await exceptionClassOf(c)
  const cause = errorOf(refusal)
  const { message, name } = cause
  const status = refusal.statusCode as ContentfulStatusCode
  const exception = withoutStack(() => new Exception(status, { message, cause }))
  const getResponse = (): Response =>
    new Response(bodyOf(refusal), { status, headers: { ...headers, 'content-type': JSON_TYPE } })
  if (cause instanceof RateLimitExceeded) markExceeded(exception)
  return Object.assign(exception, cause, { name, status, getResponse })
}

/**
 * A response with the headers that it lacks of these.
 *
 * @param refused status of a refusal, in place of 200: that would say that the request was served
 */
function corrected(response: Response, headers: Record<string, string>, refused = 200): Response {
  const status = response.status === 200 ? refused : response.status
  const missing = Object.keys(headers).filter((name) => !response.headers.has(name))
  const isRight = missing.length === 0 && response.status === status
  if (isRight || response.bodyUsed) return response
  // Copied: the headers of a response that was fetched can't be changed.
  const all = new Headers(response.headers)
  for (const name of missing) all.set(name, headers[name] as string)
  return new Response(response.body, { status, headers: all })
}

/** What the answers to refused requests must say, until they are made. */
const PENDING = new WeakMap<Context, { headers: Record<string, string>; status: number }>()
/** By the prototype of the app's contexts: one that inherits from it and corrects the answer. */
const CORRECTING = new WeakMap<object, object>()

/** Corrects the answer that the app's error handler is going to make to a refused request. */
function correctLater(c: Context, headers: Record<string, string>, status: number): void {
  PENDING.set(c, { headers, status })
  const own = Object.getPrototypeOf(c) as object
  // Not an accessor on the context itself: with that a denial takes twice as long.
  const correcting = CORRECTING.get(own) ?? correctingLike(own)
  CORRECTING.set(own, correcting).set(correcting, correcting)
  Object.setPrototypeOf(c, correcting)
  const { outgoing } = nodeOf(c)
  if (outgoing !== undefined && isAlone(c)) correctHead(c, outgoing)
}

/** Where no other handler matches a request, Hono sends what the error handler returns without `c.res`. */
function isAlone({ req }: Context): boolean {
  const { matchedRoutes } = req as { readonly matchedRoutes?: readonly unknown[] }
  return matchedRoutes?.length === 1
}

function correctHead(c: Context, outgoing: ServerResponse): void {
  const { writeHead } = outgoing
  outgoing.writeHead = (status: number, ...rest: never[]) => {
    const pending = PENDING.get(c)
    // What the response itself says of these comes after, and stands.
    for (const name in pending?.headers) outgoing.setHeader(name, pending.headers[name] as string)
    const right = pending !== undefined && status === 200 ? pending.status : status
    return writeHead.call(outgoing, right, ...rest)
  }
}

function correctingLike(own: object): object {
  return Object.create(own, {
    res: {
      get(this: Context): unknown {
        return Reflect.get(own, 'res', this)
      },
      set(this: Context, response: Response | undefined): void {
        const pending = PENDING.get(this)
        PENDING.delete(this)
        const isRight = pending === undefined || response === undefined
        const right = isRight ? response : corrected(response, pending.headers, pending.status)
        Reflect.set(own, 'res', right, this)
      },
    },
  }) as object
}

type ExceptionClass = typeof HTTPException

/** By the class of the app's requests: loading a module takes longer than all the rest of a denial. */
const CLASSES = new WeakMap<object, MaybePromise<ExceptionClass>>()

/** The class that the app itself uses: `hono` has two, one of ES modules and one of CommonJS. */
function exceptionClassOf({ req }: Context): MaybePromise<ExceptionClass> {
  const known = CLASSES.get(req.constructor)
  if (known !== undefined) return known
  const found = isCommonJs(req) ? required() : imported()
  CLASSES.set(req.constructor, found)
  return found
}

function isCommonJs(request: Context['req']): boolean {
  try {
    const { HonoRequest } = require('hono/request') as typeof import('hono/request')
    return request instanceof HonoRequest
  } catch {
    return false
  }
}

function imported(): Promise<ExceptionClass> {
  return import('hono/http-exception').then((hono) => hono.HTTPException, required)
}

function required(): ExceptionClass {
  const hono = require('hono/http-exception') as typeof import('hono/http-exception')
  return hono.HTTPException
}
