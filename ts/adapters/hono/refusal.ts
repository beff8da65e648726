import type { Context } from 'hono'
import type { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { bodyOf, errorOf, type Refusal, withoutStack } from '../http/denial.ts'

type ExceptionClass = typeof HTTPException

/**
 * A refusal as Hono's own error: an `HTTPException` whose response is what clients are told, with the
 * `RateLimitExceeded` as its `cause` and its fields beside.
 */
export async function exceptionOf(
  refusal: NonNullable<Refusal>,
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
  return Object.assign(exception, cause, { name, status, getResponse })
}

/**
 * Sees to it that the answer to a refused request, which the app's error handler makes as it likes, says what
 * clients are told, and not that all is well.
 */
export function correctAnswer(
  c: Context,
  { statusCode }: NonNullable<Refusal>,
  headers: Record<string, string>,
): void {
  const inherited = Object.getPrototypeOf(c) as object
  Object.defineProperty(c, 'res', {
    configurable: true,
    get: () => Reflect.get(inherited, 'res', c) as Response,
    set: (response: Response | undefined) => {
      Reflect.deleteProperty(c, 'res')
      c.res = response === undefined ? response : refused(response, statusCode, headers)
    },
  })
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

let imported: Promise<ExceptionClass> | undefined

/** The class that the app knows: `hono` is two packages in one, of ES modules and of CommonJS. */
async function exceptionClassOf(c: Context): Promise<ExceptionClass> {
  if (isCommonJs(c)) return required()
  imported ??= import('hono/http-exception').then((hono) => hono.HTTPException, required)
  return imported
}

function isCommonJs({ req }: Context): boolean {
  try {
    const { HonoRequest } = require('hono/request') as typeof import('hono/request')
    return req instanceof HonoRequest
  } catch {
    return false
  }
}

function required(): ExceptionClass {
  const hono = require('hono/http-exception') as typeof import('hono/http-exception')
  return hono.HTTPException
}
