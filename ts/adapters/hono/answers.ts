import type { ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { markExceeded, RateLimitExceeded } from '../../errors.ts'
import { bodyOf, errorOf, type Refusal, typeOf, withoutStack } from '../../http/response.ts'
import type { MaybePromise } from '../../limiter.ts'
import { nodeOf as bindingsOf, type NodeBindings } from '../web/connection.ts'
import { withHeaders } from '../web/response.ts'

/** The request and the response of node:http behind a context, where there are any. */
export function nodeOf(c: Context): NodeBindings {
  return bindingsOf(c.req.raw, c.env)
}

/**
 * A refusal as Hono's own error: an `HTTPException` whose response is the answer, with the `RateLimitExceeded` as
 * its `cause` and the same fields. It is an instance of both.
 */
export async function exceptionOf(
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
    new Response(bodyOf(refusal), {
      status,
      headers: { ...headers, 'content-type': typeOf(refusal) },
    })
  if (cause instanceof RateLimitExceeded) markExceeded(exception)
  return Object.assign(exception, cause, { name, status, getResponse })
}

/** What the answers to refused requests must say, until they are made. */
const PENDING = new WeakMap<Context, { headers: Record<string, string>; status: number }>()
/** By the prototype of the app's contexts: one that inherits from it and corrects the answer. */
const CORRECTING = new WeakMap<object, object>()

/** Corrects the answer that the app's error handler is going to make to a refused request. */
export function correctLater(c: Context, headers: Record<string, string>, status: number): void {
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
        const right = isRight ? response : withHeaders(response, pending.headers, pending.status)
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
