import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import { LEGACY_HEADERS, RETRY_AFTER } from '../../http/legacy-headers.ts'
import { isFinished, NODE } from '../../http/node.ts'
import { errorOf, type Refusal, sendRefusal } from '../../http/response.ts'

/*
 * How refusals and their headers get through the error handling of a Koa app. Koa's own answers with the message as
 * text, and drops all headers that were set before but those that the error has: the limits' among them.
 */

/** Refusals by the errors that were made of them. */
const REFUSALS = new WeakMap<object, Refusal>()
/** What limits say of a request, whatever it is answered with. */
const OF_LIMITS: readonly string[] = [...LEGACY_HEADERS, 'ratelimit-policy', 'ratelimit']
/** What a refusal says in addition. */
const OF_REFUSALS: readonly string[] = [...OF_LIMITS, RETRY_AFTER, 'cache-control', 'connection']

/** The error of a refusal, as `ctx.throw` makes one: clients may read it, and it has the headers of its answer. */
export function errorFor(refusal: Refusal, response: ServerResponse): Error {
  const error = errorOf(refusal)
  const headers = kept(response, OF_REFUSALS)
  Object.assign(error, { status: refusal.statusCode, expose: true, headers })
  REFUSALS.set(error, refusal)
  return error
}

/** Apps, by the prototype of their contexts. */
const WATCHED = new WeakSet<object>()

type Handle = (this: Context, error: unknown) => void

/**
 * Has the app's last error handler answer refusals as JSON, and keep the headers of limits on all other errors. One that
 * the program has set answers refusals itself.
 */
export function watchErrors({ app }: Context): void {
  const context = app?.context as { onerror?: Handle } | undefined
  if (context === undefined || WATCHED.has(context)) return
  WATCHED.add(context)
  const { onerror } = context
  if (typeof onerror !== 'function') return
  const isOwn = Object.hasOwn(context, 'onerror')
  context.onerror = function handle(this: Context, error: unknown): void {
    const isObject = typeof error === 'object' && error !== null
    const refusal = isObject ? REFUSALS.get(error) : undefined
    if (!isObject || isFinished(this.res)) onerror.call(this, error)
    else if (refusal === undefined) withHeaders(error, this.res, () => onerror.call(this, error))
    else if (isOwn) onerror.call(this, error)
    else {
      this.app.emit('error', error, this)
      // A listener may have answered.
      if (!isFinished(this.res)) sendRefusal(NODE, this.res, refusal)
    }
  }
}

/** Handles an error that has the headers of limits meanwhile. Not for longer: many requests may share one error. */
function withHeaders(error: object, response: ServerResponse, handle: () => void): void {
  const ours = kept(response, OF_LIMITS)
  const before = Object.getOwnPropertyDescriptor(error, 'headers')
  const isOurs = Object.keys(ours).length > 0 && before?.configurable !== false
  if (!isOurs || !Object.isExtensible(error)) {
    handle()
    return
  }
  const headers = { ...ours, ...(error as { readonly headers?: object }).headers }
  Object.defineProperty(error, 'headers', { value: headers, configurable: true, writable: true })
  try {
    handle()
  } finally {
    if (before !== undefined) Object.defineProperty(error, 'headers', before)
    else Reflect.deleteProperty(error, 'headers')
  }
}

/** Those of these headers that are set by now. */
function kept(response: ServerResponse, names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of names) {
    const value = response.getHeader(name)
    if (value !== undefined) found[name] = String(value)
  }
  return found
}
