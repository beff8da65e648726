import type { FastifyReply, FastifyRequest } from 'fastify'
import { bodyOf, Denial, errorOf, type Refusal } from '../../http/response.ts'

/** Answers a refused request in place of Fastify's own error handler, or hands its error to the user's. */
export type Answerer = (
  refusal: Refusal,
  request: FastifyRequest,
  reply: FastifyReply,
  next: (error: Error) => void,
) => void

/** An `onError` hook, as Fastify calls it. */
type ErrorHook = (
  request: FastifyRequest,
  reply: FastifyReply,
  error: Error,
  done: () => void,
) => unknown

/** What Fastify knows of a route. Its error handlers form a chain of prototypes that ends with its own. */
interface Context {
  readonly errorHandler?: object | null
  readonly onError?: readonly ErrorHook[] | null
}

/** Fastify's own way to log what its error handler answers. Not in its versions before 5.9. */
interface LogController {
  defaultErrorLog(error: Error, request: FastifyRequest, reply: FastifyReply): void
}

const JSON_TYPE = 'application/json; charset=utf-8'

/**
 * Answers refusals where the user has set no error handler.
 *
 * Fastify's own handler would do, but it serialises an error by the schema that the route has for the status:
 * of a refusal's fields it would leave those out that the schema does not name, or fail. And where nothing
 * is logged and no `onError` hook looks, no error has to be made: a flood of refusals is when that matters.
 */
export function answerer(): Answerer {
  let context: symbol | undefined
  return (refusal, request, reply, next) => {
    context ??= symbolOf(reply, 'fastify.context')
    const route = context === undefined ? undefined : (reply as unknown as Routed)[context]
    if (route === undefined || !isDefault(route.errorHandler)) {
      next(errorOf(refusal))
      return
    }
    const hooks = route.onError ?? []
    if (hooks.length === 0 && refusal instanceof Denial && !isLogging(reply, refusal.statusCode)) {
      send(refusal, reply)
      return
    }
    const error = errorOf(refusal)
    runAll(hooks, request, reply, error, () => {
      if (reply.sent) return
      reply.code(refusal.statusCode)
      log(error, request, reply)
      send(refusal, reply)
    })
  }
}

type Routed = Record<symbol, Context | undefined>

/** Fastify's own handler is the one that no other stands before. */
function isDefault(handler: Context['errorHandler']): boolean {
  if (typeof handler !== 'object' || handler === null) return false
  return Object.getPrototypeOf(handler) === Object.prototype
}

function send(refusal: Refusal, reply: FastifyReply): void {
  reply
    .code(refusal.statusCode)
    .header('content-type', JSON_TYPE)
    .serializer(asItIs)
    .send(bodyOf(refusal))
}

/** For a body that is text already, whatever serializer a hook has set. */
export function asItIs(payload: unknown): string {
  return payload as string
}

/** One after the other, as Fastify does; what a hook makes of the error changes nothing. */
function runAll(
  hooks: readonly ErrorHook[],
  request: FastifyRequest,
  reply: FastifyReply,
  error: Error,
  done: () => void,
): void {
  let index = 0
  const next = (failed?: unknown): void => {
    const hook = hooks[index++]
    if (hook === undefined || failed) {
      done()
      return
    }
    let answer: unknown
    try {
      answer = hook(request, reply, error, next)
    } catch {
      done()
      return
    }
    if (isThenable(answer)) answer.then(() => next(), done)
  }
  next()
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function'
}

type Logger = FastifyRequest['log'] & { isLevelEnabled?: (level: string) => boolean }

/** Whether the log takes what Fastify would tell it of a status. A logger that can't be asked is told. */
function isLogging(reply: FastifyReply, status: number): boolean {
  const logger = reply.log as Logger
  if (typeof logger.isLevelEnabled === 'function') {
    return logger.isLevelEnabled(status >= 500 ? 'error' : 'info')
  }
  // What Fastify has where there is no log.
  return logger.info.name !== 'noop'
}

/** As Fastify's own error handler does it. */
function log(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const { server } = reply
  const symbol = symbolOf(server, 'fastify.logController')
  const controller =
    symbol === undefined ? undefined : (server as unknown as Record<symbol, LogController>)[symbol]
  if (controller !== undefined) controller.defaultErrorLog(error, request, reply)
  else if (reply.statusCode >= 500) {
    reply.log.error({ req: request, res: reply, err: error }, error.message)
  } else reply.log.info({ res: reply, err: error }, error.message)
}

/** Fastify's own properties have symbols for names, which it does not give away. */
export function symbolOf(app: object, description: string): symbol | undefined {
  for (let at: object | null = app; at !== null; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertySymbols(at).find((one) => one.description === description)
    if (found !== undefined) return found
  }
  return undefined
}
