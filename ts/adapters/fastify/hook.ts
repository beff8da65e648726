import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Answer } from '../../tier.ts'
import { bodyOf, Denial, errorOf, type Refusal } from '../http/denial.ts'
import type { FastifyGuard } from './guards.ts'
import type { Watch } from './watch.ts'

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
}

/** A request or a reply. */
interface AnyExchange {
  readonly raw: object
}

/** A request on its way through a hook. */
interface Passing {
  readonly guard: FastifyGuard
  readonly watch: Watch
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly next: HookHandlerDoneFunction
}

/** A hook of any stage: `preParsing` has the payload before the function that says it is done. */
export function hookOf(guardOf: GuardOf, watch: Watch): RateThrottleHook {
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
    const refusal = guard?.decide(request, reply)
    if (refusal === undefined || guard === undefined) next()
    else wait({ guard, watch, request, reply, next }, refusal)
  }
  return hook as RateThrottleHook
}

function wait(passing: Passing, refusal: NonNullable<Answer<Refusal>>): void {
  if (!(refusal instanceof Promise)) refuse(passing, refusal)
  else {
    void refusal.then((found) => {
      if (found === undefined) passing.next()
      else refuse(passing, found)
    })
  }
}

/** Nobody goes on with a request that was answered here. */
function refuse(passing: Passing, refusal: NonNullable<Refusal>): void {
  const { guard, request, reply, next } = passing
  const fail = (error: Error): void => next(error)
  void guard.refuse(refusal, { request, response: reply }, () => hand(passing, refusal), fail)
}

/** To the server's error handling. Where nobody listens there, the same answer without an error. */
function hand({ watch, request, reply, next }: Passing, refusal: NonNullable<Refusal>): void {
  if (!(refusal instanceof Denial) || watch.isOn(request)) next(errorOf(refusal))
  else reply.code(refusal.statusCode).header('content-type', JSON_TYPE).send(bodyOf(refusal))
}

const JSON_TYPE = 'application/json; charset=utf-8'
