import type {
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
  onRequestHookHandler,
} from 'fastify'
import type { Answer } from '../../tier.ts'
import type { FastifyGuard } from './guards.ts'

/** The guard of a request, if it has one. */
type GuardOf = (request: FastifyRequest) => FastifyGuard | undefined

/** A hook of any stage: `preParsing` has the payload before the function that says it is done. */
export function hookOf(guardOf: GuardOf): onRequestHookHandler {
  const hook = (
    request: FastifyRequest,
    reply: FastifyReply,
    third: unknown,
    fourth: unknown,
  ): void => {
    const next = (typeof fourth === 'function' ? fourth : third) as HookHandlerDoneFunction
    let guard: FastifyGuard | undefined
    try {
      guard = guardOf(request)
    } catch (error) {
      // The limits of a route from before the plugin are read with its first request.
      next(error as Error)
      return
    }
    run(guard, request, reply, next)
  }
  return hook as onRequestHookHandler
}

function run(
  guard: FastifyGuard | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  next: HookHandlerDoneFunction,
): void {
  const refusal = guard?.decide(request, reply)
  if (refusal === undefined || guard === undefined) next()
  else if (!(refusal instanceof Promise)) end(guard, refusal, request, reply, next)
  else void refusal.then((found) => end(guard, found, request, reply, next))
}

/** Nobody goes on with a request that was answered here. */
function end(
  guard: FastifyGuard,
  refusal: Error | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  next: HookHandlerDoneFunction,
): void {
  if (refusal === undefined) {
    next()
    return
  }
  const goOn = (isAnswered: boolean): void => {
    if (!isAnswered) next(refusal)
  }
  // Fastify takes nothing, and falsy values, for leave to go on.
  const fail = (error: unknown): void => next(error instanceof Error ? error : refusal)
  let answered: Answer<boolean> = false
  try {
    answered = guard.answer(refusal, request, reply)
  } catch (error) {
    fail(error)
    return
  }
  if (answered instanceof Promise) answered.then(goOn, fail)
  else goOn(answered)
}
