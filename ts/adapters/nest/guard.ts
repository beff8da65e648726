import type { CallHandler, CanActivate, ExecutionContext, NestInterceptor } from '@nestjs/common'
import type { Observable } from 'rxjs'
import { withCode } from '../../validate.ts'
import type { CallResponse } from './call-response.ts'
import type { Engine } from './engine.ts'
import { common, metadata, rxjs } from './peers.ts'

/** By which the module provides its {@link Engine}. */
export const ENGINE: unique symbol = Symbol('ratethrottle.nest')

/** Where Nest keeps what `UseInterceptors` was given. */
const INTERCEPTORS = '__interceptors__'

/**
 * Limits the calls of handlers: requests of HTTP, operations of GraphQL, messages of gateways and of microservices.
 *
 * `RateThrottleModule` has Nest ask it before every handler. It counts a call once, however often it is asked.
 */
export class RateThrottleGuard implements CanActivate {
  readonly #engine: Engine | undefined

  /** Nest makes it. */
  constructor(engine: object | undefined) {
    this.#engine = engine as Engine | undefined
  }

  /** True if the handler may run. Throws or rejects with what Nest's exception filters answer. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const engine = this.#engine
    if (engine === undefined) throw noModule()
    if (!engine.isGlobal && engine.toldOf(context) !== undefined) refuseUntold(context)
    return engine.enter(context)
  }
}

common.Injectable()(RateThrottleGuard)
common.Inject(ENGINE)(RateThrottleGuard, undefined, 0)
common.Optional()(RateThrottleGuard, undefined, 0)

/**
 * Tells limits that last how a call ends that has no response of HTTP: those with `concurrent` or `countWhen`, and a
 * shield. `@Limit` and `RateThrottleModule` add it where it is needed.
 */
export class RateThrottleInterceptor implements NestInterceptor {
  readonly #engine: Engine | undefined

  /** Nest makes it. */
  constructor(engine: object | undefined) {
    this.#engine = engine as Engine | undefined
  }

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    const engine = this.#engine
    const call = engine?.toldOf(context)
    if (engine === undefined || call === undefined) return next.handle()
    const isFirst = !call.isTold
    // It may stand both on the class and before all handlers. An operation has many resolvers, each with its limits.
    if (!isFirst && call.kind !== 'graphql') return next.handle()
    call.isTold = true
    const response = call.response as CallResponse
    const run = (): Observable<unknown> => (isFirst ? told(next, response) : next.handle())
    const refuse = (error: unknown): never => {
      response.end(statusOf(error))
      throw error
    }
    try {
      const entered = engine.begin(context, call)
      return entered instanceof Promise ? entered.then(run, refuse) : run()
    } catch (error) {
      return refuse(error)
    }
  }
}

common.Injectable()(RateThrottleInterceptor)
common.Inject(ENGINE)(RateThrottleInterceptor, undefined, 0)
common.Optional()(RateThrottleInterceptor, undefined, 0)

/** The response ends with what the handler returns: the last value of an Observable, the last event of a subscription. */
function told(next: CallHandler, response: CallResponse): Observable<unknown> {
  let isSubscription = false
  const values = next.handle().pipe(
    rxjs.map((value: unknown) => {
      if (!isAsyncIterator(value)) return value
      isSubscription = true
      return toldIterator(value, response)
    }),
    rxjs.tap({ error: (error: unknown) => response.end(statusOf(error)) }),
    rxjs.finalize(() => {
      if (!isSubscription) response.end(200)
    }),
  )
  return values
}

function isAsyncIterator(value: unknown): value is AsyncIterator<unknown> {
  if (typeof value !== 'object' || value === null) return false
  return Symbol.asyncIterator in value && 'next' in value && typeof value.next === 'function'
}

function toldIterator(
  events: AsyncIterator<unknown>,
  response: CallResponse,
): AsyncIterableIterator<unknown> {
  const ended = async (
    result: IteratorResult<unknown> | PromiseLike<IteratorResult<unknown>> | undefined,
    isOver: boolean,
  ): Promise<IteratorResult<unknown>> => {
    try {
      const event = (await result) ?? { done: true, value: undefined }
      if (isOver || event.done === true) response.end(200)
      return event
    } catch (error) {
      response.end(statusOf(error))
      throw error
    }
  }
  return {
    next: () => ended(events.next(), false),
    return: (value) => ended(events.return?.(value), true),
    throw: (error) => ended(events.throw?.(error), true),
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

function statusOf(error: unknown): number {
  const { status } = (error ?? {}) as { readonly status?: unknown }
  return typeof status === 'number' ? status : 500
}

/** @throws Error with code INVALID_OPTION where limits that last would never be asked */
function refuseUntold(context: ExecutionContext): void {
  const places = [context.getHandler(), context.getClass()]
  const found = places.flatMap((place) => metadata.getMetadata(INTERCEPTORS, place) ?? [])
  if (found.includes(RateThrottleInterceptor)) return
  const message =
    'limits with concurrent or countWhen, and a shield, need RateThrottleInterceptor beside RateThrottleGuard for messages: write @UseRateThrottle() in place of @UseGuards(RateThrottleGuard)'
  throw withCode(new Error(message), 'INVALID_OPTION')
}

function noModule(): Error {
  const message =
    'RateThrottleModule.forRoot(...) must be imported by the application: a handler has limits, and nothing counts them'
  return withCode(new Error(message), 'NO_LIMITS')
}
