import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
  onRequestHookHandler,
} from 'fastify'
import type { HandOn } from '../../http/adapter.ts'
import type { RequestLimiter } from '../../http/config.ts'
import type { HttpShield, RequestVerdict } from '../../http/shield.ts'
import { chainOf, isPolluted, taken } from './internals.ts'
import type { RouteLimiters } from './routes.ts'

/** Instances whose requests have `shield`. */
const SHIELDED = new WeakSet<object>()

/**
 * Puts a shield before the limits of an instance, for all its requests: those for no route, and those of routes
 * without limits, included.
 *
 * @param limiters whose rows of an insight count what the shield refuses
 * @throws TypeError with the code DECORATOR_TAKEN where another plugin has `request.shield`
 */
export function putBefore(
  app: FastifyInstance,
  shield: HttpShield,
  handOn: HandOn<FastifyRequest, FastifyReply>,
  limiters: Pick<RouteLimiters, 'of'>,
): void {
  decorate(app)
  const limiterOf = (request: FastifyRequest): RequestLimiter | undefined => {
    try {
      return limiters.of(request)
    } catch {
      // The limits of a route that was declared before the plugin are wrong: its requests fail.
      return undefined
    }
  }
  const hook: onRequestHookHandler = (request, reply, next) => {
    shield.stand(request, reply, next as (error?: Error) => void, handOn, next, limiterOf)
  }
  app.addHook('onRequest', hook)
  app.addHook('preClose', (closing: HookHandlerDoneFunction) => {
    shield.release()
    closing()
  })
  app.addHook('onClose', (_: FastifyInstance, closed: HookHandlerDoneFunction) => {
    shield.close()
    closed()
  })
}

function decorate(app: FastifyInstance): void {
  if (chainOf(app).some((instance) => SHIELDED.has(instance))) return
  if (app.hasRequestDecorator('shield') && !isPolluted('shield')) throw taken('request.shield')
  // Kept on the request of node:http, where other middleware of the same guard finds it.
  app.decorateRequest('shield', {
    getter(this: FastifyRequest) {
      return (this.raw as { shield?: RequestVerdict }).shield ?? null
    },
  })
  SHIELDED.add(app)
}
