import type { IncomingMessage } from 'node:http'
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
} from 'fastify'
import { type HandOn, type HttpAdapter, proceed } from '../../http/adapter.ts'
import { isExplicitTrust, targetOf } from '../../http/client.ts'
import type { RequestLimiter } from '../../http/config.ts'
import type { Warnings } from '../../http/events.ts'
import { LIMIT, REMAINING, RESET, RETRY_AFTER } from '../../http/legacy-headers.ts'
import { cut, isFinished, peerOf } from '../../http/node.ts'
import { Denial, errorOf, ShieldRefusal, sendRefusal } from '../../http/response.ts'
import { onDone, onEnd } from '../../http/response-end.ts'
import { isThenable } from '../../limiter.ts'
import { hiddenProperty } from './internals.ts'
import { routeOf } from './patterns.ts'

/**
 * A hook for any stage before the handler, of any kind of server: it asks little of the requests, because
 * those of HTTP/2, of a custom logger and of a type provider have other types.
 */
export interface RateThrottleHook {
  (request: AnyExchange, reply: AnyExchange, done: (error?: Error) => void): void
  /** As a `preParsing` hook. */
  (request: AnyExchange, reply: AnyExchange, payload: object, done: (error?: Error) => void): void
  /**
   * Called by hand, as in `await hook(request, reply)`: rejects with the RateLimitExceeded or RequestRefused if
   * the request is refused, and answers nothing itself. The headers are set either way.
   */
  (request: AnyExchange, reply: AnyExchange): Promise<void>
}

/** A request or a reply. */
interface AnyExchange {
  readonly raw: object
}

/** Where a hook gets the limiter of a request. */
interface LimiterSource {
  /** That of all requests, while all have the same. */
  readonly uniform: RequestLimiter | undefined
  of(request: FastifyRequest): RequestLimiter | undefined
}

/** Makes a hook for any stage: that of `preParsing` gets the payload before the callback. */
export function hookOf(
  source: LimiterSource,
  handOn: HandOn<FastifyRequest, FastifyReply>,
): RateThrottleHook {
  const hook = (
    request: FastifyRequest,
    reply: FastifyReply,
    third: unknown,
    fourth: unknown,
  ): unknown => {
    const next = (typeof fourth === 'function' ? fourth : third) as HookHandlerDoneFunction
    if (typeof next !== 'function') return byHand(source, request, reply)
    let limiter: RequestLimiter | undefined
    try {
      limiter = source.uniform ?? source.of(request)
    } catch (error) {
      // The limits of a route that was declared before the plugin are read with its first request.
      next(error as Error)
      return
    }
    const outcome = limiter?.decide(request, reply)
    if (outcome === undefined || limiter === undefined) next()
    else proceed(limiter, outcome, request, reply, next, handOn)
  }
  return hook as RateThrottleHook
}

/** The caller passes the error on: an answer from here would be a second one. */
async function byHand(
  source: LimiterSource,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const limiter = source.uniform ?? source.of(request)
  const refusal = await limiter?.decide(request, reply)
  if (refusal !== undefined) throw errorOf(refusal)
}

/** An `onError` hook, as Fastify calls it. */
type ErrorHook = (
  request: FastifyRequest,
  reply: FastifyReply,
  error: Error,
  done: () => void,
) => unknown

/** What Fastify knows of a route. Its error handlers form a chain of prototypes that ends with Fastify's own. */
interface Context {
  readonly errorHandler?: object | null
  readonly onError?: readonly ErrorHook[] | null
}

/** Fastify's own way to log what its error handler answers. Not in its versions before 5.9. */
interface LogController {
  defaultErrorLog(error: Error, request: FastifyRequest, reply: FastifyReply): void
}

/**
 * Makes what hands refusals to the user's error handler, or answers them if there is none.
 *
 * Fastify's own handler would do, but it serialises an error by the schema that the route has for the status:
 * it would leave out fields that the schema does not name, or fail. And where nothing is logged and there is no
 * `onError` hook, no error has to be made: that matters under a flood of refusals.
 */
export function handOnRefusals(adapter: HttpAdapter): HandOn<FastifyRequest, FastifyReply> {
  const contextOf = hiddenProperty<Context>('fastify.context')
  return (refusal, request, reply, next) => {
    const route = contextOf(reply)
    if (route === undefined || !isDefault(route.errorHandler)) {
      next(errorOf(refusal))
      return
    }
    const hooks = route.onError ?? []
    const isLight = refusal instanceof Denial || refusal instanceof ShieldRefusal
    if (hooks.length === 0 && isLight && !isLogging(reply, refusal.statusCode)) {
      sendRefusal(adapter, reply, refusal)
      return
    }
    const error = errorOf(refusal)
    runAll(hooks, request, reply, error, () => {
      if (reply.sent) return
      reply.code(refusal.statusCode)
      log(error, request, reply)
      sendRefusal(adapter, reply, refusal)
    })
  }
}

/** The handler that was found to be Fastify's own: of all requests the same. */
let defaultHandler: object | undefined

/** Fastify's own handler is the last of the chain. */
function isDefault(handler: Context['errorHandler']): boolean {
  if (typeof handler !== 'object' || handler === null) return false
  if (handler === defaultHandler) return true
  if (Object.getPrototypeOf(handler) !== Object.prototype) return false
  defaultHandler = handler
  return true
}

/** One after the other, as Fastify does; a hook that fails changes nothing. */
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
    try {
      const answer = hook(request, reply, error, next)
      if (isThenable(answer)) answer.then(() => next(), done)
    } catch {
      done()
    }
  }
  next()
}

type Logger = FastifyRequest['log'] & { isLevelEnabled?: (level: string) => boolean }

/** Whether the logger would write Fastify's line about a status. True if it can't be asked. */
function isLogging(reply: FastifyReply, status: number): boolean {
  const logger = reply.log as Logger
  if (typeof logger.isLevelEnabled === 'function') {
    return logger.isLevelEnabled(status >= 500 ? 'error' : 'info')
  }
  // What Fastify has where there is no log. To ask a function for its name costs a fifth of a denial.
  const { info } = logger
  if (info === noop) return false
  if (info.name !== 'noop') return true
  noop = info
  return false
}

/** The function of this name that was found last. */
let noop: Logger['info'] | undefined

/** As Fastify's own error handler does it. */
function log(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const controller = hiddenProperty<LogController>('fastify.logController')(reply.server)
  if (controller !== undefined) controller.defaultErrorLog(error, request, reply)
  else if (reply.statusCode >= 500) {
    reply.log.error({ req: request, res: reply, err: error }, error.message)
  } else reply.log.info({ res: reply, err: error }, error.message)
}

/** Fastify's requests and replies. */
export function fastifyAdapter(
  app: FastifyInstance,
  warnings: Warnings,
): HttpAdapter<FastifyRequest, FastifyReply> {
  let isExplicit: boolean | undefined
  return {
    peer: (request) => peerOf(request.raw),
    incoming: (request) => request.raw,
    outgoing: (reply) => reply.raw,
    headers: (request) => request.headers,
    method: (request) => request.raw.method ?? '',
    target: (request) => targetOf(request.raw),
    route: routeOf,
    forwarded: (request) => {
      isExplicit ??= isProxyExplicit(app, request, warnings)
      return isExplicit ? request.ips : undefined
    },
    isProxy: (request, peer) => isExplicit === true && trusts(request, peer),
    setHeader: (reply, name, value) => {
      reply.header(name, value)
    },
    setFigures: (reply, limit, remaining, reset, retryAfter) => {
      reply.header(LIMIT, limit)
      reply.header(REMAINING, remaining)
      reply.header(RESET, reset)
      if (retryAfter !== undefined) reply.header(RETRY_AFTER, retryAfter)
    },
    removeHeader: (reply, name) => {
      reply.removeHeader(name)
    },
    setStatus: (reply, status) => {
      if (!reply.sent) reply.code(status)
    },
    isFinished: (reply) => reply.sent || isFinished(reply.raw),
    onEnd: (reply, ended) => onEnd(reply.raw, ended),
    onDone: (reply, done) => onDone(reply.raw, done),
    cut: (reply) => cut(reply.raw),
    send: (reply, status, type, body) => {
      reply.code(status).type(type).serializer(asText).send(body)
    },
  }
}

/** Serializer of a body that is text already, in place of one that a hook has set. */
function asText(payload: unknown): string {
  return payload as string
}

/** A client and a proxy for documentation (RFC 5737), to see what a proxy setting makes of them. */
const TRIAL = { 'x-forwarded-for': '198.51.100.1' }

/** Whether `trustProxy` is on and lists proxies. It can't be read, so it is tried out with a request. */
function isProxyExplicit(
  app: FastifyInstance,
  request: FastifyRequest,
  warnings: Warnings,
): boolean {
  if (request.ips === undefined) return false
  // Since 5.12.1 Fastify silently trusts no proxy where a number of hops is given. Only its options show that.
  const options = hiddenProperty<{ readonly trustProxy?: unknown }>('fastify.options')(app)
  return isExplicitTrust(options?.trustProxy, (address) => trusts(request, address), warnings)
}

/** Whether the setting trusts a peer: by Fastify's own getter, asked about a request that comes from there. */
function trusts(request: FastifyRequest, address: string): boolean {
  const socket = { remoteAddress: address }
  const raw = { socket, connection: socket, headers: TRIAL } as unknown as IncomingMessage
  const chain: unknown = Reflect.get(Object.getPrototypeOf(request), 'ips', { raw })
  return Array.isArray(chain) && chain.length > 1
}
