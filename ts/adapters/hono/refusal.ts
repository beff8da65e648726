import type { ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { markExceeded, RateLimitExceeded } from '../../errors.ts'
import { bodyOf, errorOf, type Refusal, withoutStack } from '../../http/response.ts'
import type { MaybePromise } from '../../maybe-promise.ts'
import { nodeOf } from './framework.ts'

type ExceptionClass = typeof HTTPException

/**
 * A refusal as Hono's own error: an `HTTPException` whose response is what clients are told, with the
 * `RateLimitExceeded` as its `cause` and its fields beside. It is an instance of both.
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
  const type = 'application/json; charset=utf-8'
  const getResponse = (): Response =>
    new Response(bodyOf(refusal), { status, headers: { ...headers, 'content-type': type } })
  if (cause instanceof RateLimitExceeded) markExceeded(exception)
  return Object.assign(exception, cause, { name, status, getResponse })
}

/** What refused requests are to be told, until they are answered. */
const PENDING = new WeakMap<Context, { status: number; headers: Record<string, string> }>()
/** By the prototype of the app's contexts: the same, but that a refused one corrects its answer. */
const CORRECTING = new WeakMap<object, object>()

/**
 * Sees to it that the answer to a refused request, which the app's error handler makes as it likes, says what
 * clients are told, and not that all is well.
 */
export function correctAnswer(
  c: Context,
  { statusCode: status }: Refusal,
  headers: Record<string, string>,
): void {
  PENDING.set(c, { status, headers })
  const own = Object.getPrototypeOf(c) as object
  // Not an accessor of this context's own: with that a denial takes twice as long.
  const correcting = CORRECTING.get(own) ?? correctingLike(own)
  CORRECTING.set(own, correcting).set(correcting, correcting)
  Object.setPrototypeOf(c, correcting)
  const { outgoing } = nodeOf(c)
  if (outgoing !== undefined && isAlone(c)) correctHead(c, outgoing)
}

/** Where nothing else matches a request, Hono sends what its error handler returns without `c.res`. */
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
  const set = (c: Context, response: Response | undefined): void => {
    const pending = PENDING.get(c)
    PENDING.delete(c)
    const right =
      pending === undefined || response === undefined
        ? response
        : refused(response, pending.status, pending.headers)
    Reflect.set(own, 'res', right, c)
  }
  return Object.create(own, {
    res: {
      get(this: Context): unknown {
        return Reflect.get(own, 'res', this)
      },
      set(this: Context, response: Response | undefined) {
        set(this, response)
      },
    },
  }) as object
}

/** A response to a refused request: 200 would say that it was served. */
export function refused(
  response: Response,
  statusCode: number,
  headers: Record<string, string>,
): Response {
  return complete(response, headers, response.status === 200 ? statusCode : response.status)
}

/** A response with the headers that it lacks of these. */
export function complete(
  response: Response,
  headers: Record<string, string>,
  status: number = response.status,
): Response {
  const missing = Object.keys(headers).filter((name) => !response.headers.has(name))
  const isRight = missing.length === 0 && response.status === status
  if (isRight || response.bodyUsed) return response
  // Headers of their own: those of a response that was fetched can't be changed.
  const all = new Headers(response.headers)
  for (const name of missing) all.set(name, headers[name] as string)
  return new Response(response.body, { status, headers: all })
}

/** By the class of the app's requests. Asking Node for a module takes longer than all the rest of a denial. */
const CLASSES = new WeakMap<object, MaybePromise<ExceptionClass>>()

/** The class that the app knows: `hono` is two packages in one, of ES modules and of CommonJS. */
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
