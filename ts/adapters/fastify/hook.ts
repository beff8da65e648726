import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { errorOf, type Outcome, type Refusal } from '../../http/response.ts'
import type { MaybePromise } from '../../maybe-promise.ts'
import type { Answerer } from './errors.ts'
import type { FastifyGuard } from './routes.ts'

/** The guard of a request, if it has one. */
type GuardOf = (request: FastifyRequest) => FastifyGuard | undefined

/**
 * A hook for any stage before the handler, of any kind of server: it asks little of the requests, because
 * those of HTTP/2, of a logger of one's own and of a type provider have types of their own.
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

/** A request on its way through a hook. */
interface Passing {
  readonly guard: FastifyGuard
  readonly answer: Answerer
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly next: HookHandlerDoneFunction
}

/** A hook of any stage: `preParsing` has the payload before the function that says it is done. */
export function hookOf(guardOf: GuardOf, answer: Answerer): RateThrottleHook {
  const hook = (
    request: FastifyRequest,
    reply: FastifyReply,
    third: unknown,
    fourth: unknown,
  ): unknown => {
    const next = (typeof fourth === 'function' ? fourth : third) as HookHandlerDoneFunction
    if (typeof next !== 'function') return byHand(guardOf, request, reply)
    let guard: FastifyGuard | undefined
    try {
      guard = guardOf(request)
    } catch (error) {
      // The limits of a route from before the plugin are read with its first request.
      next(error as Error)
      return
    }
    const refusal = guard?.decide(request, reply)
    if (refusal === undefined || guard === undefined) next()
    else wait({ guard, answer, request, reply, next }, refusal)
  }
  return hook as RateThrottleHook
}

/** What is refused is for the caller to pass on: an answer of ours would make a second one of its error. */
async function byHand(
  guardOf: GuardOf,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const refusal = await guardOf(request)?.decide(request, reply)
  if (refusal !== undefined) throw errorOf(refusal)
}

function wait(passing: Passing, refusal: NonNullable<MaybePromise<Outcome>>): void {
  if (!(refusal instanceof Promise)) refuse(passing, refusal)
  else {
    void refusal.then((found) => {
      if (found === undefined) passing.next()
      else refuse(passing, found)
    })
  }
}

/** A request that was answered here goes no further. */
function refuse(passing: Passing, refusal: Refusal): void {
  const { guard, answer, request, reply, next } = passing
  const hand = (): void => answer(refusal, request, reply, next)
  void guard.refuse(refusal, { request, response: reply }, hand)
}
