import type { ExecutionContext } from '@nestjs/common'
import type { HttpAdapterHost } from '@nestjs/core'
import type { HttpAdapter } from '../../http/adapter.ts'
import type { RequestLimiter } from '../../http/config.ts'
import { Warnings } from '../../http/events.ts'
import type { AnyHttpOptions } from '../../http/options.ts'
import { isOpen, type Outcome, type Refusal } from '../../http/response.ts'
import { andThen, type MaybePromise } from '../../limiter.ts'
import { type Call, Calls } from './calls.ts'
import { Limiters } from './limiters.ts'
import { exceptionOf } from './refusals.ts'
import { nestAdapter } from './requests.ts'

/** Why a call may not go on, and the limiter that says so. */
interface Refused {
  readonly refusal: Refusal
  /** `undefined`: the shield. */
  readonly limiter: RequestLimiter | undefined
  readonly request: object
}

/** Decides about the calls of one application. */
export class Engine {
  readonly calls: Calls
  readonly limiters: Limiters
  readonly adapter: HttpAdapter
  /** Whether it is asked about all handlers. */
  readonly isGlobal: boolean

  /** @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted */
  constructor(options: AnyHttpOptions, host: HttpAdapterHost, isGlobal: boolean) {
    this.isGlobal = isGlobal
    const warnings = new Warnings()
    this.calls = new Calls(host)
    this.adapter = nestAdapter(host, warnings)
    this.limiters = new Limiters(options, this.adapter, warnings)
  }

  /**
   * Decides about a handler's call before other guards have. Where the end of the call is that of its handler, limits
   * that last are left to {@link begin}: another guard may refuse the call, and nothing would tell its end.
   *
   * @returns true. Never settles if option `handler` or `problem` answers the request
   * @throws what Nest's filters answer, or rejects with it
   */
  enter(context: ExecutionContext): MaybePromise<boolean> {
    const call = this.calls.of(context)
    const limiters = this.limiters.for(context, call.kind)
    return this.#isTold(call, limiters) || this.#ask(context, call, limiters)
  }

  /** Whether {@link begin} has to be called before the handler runs, and the call's response to be ended after it. */
  toldOf(context: ExecutionContext): Call | undefined {
    const call = this.calls.of(context)
    const isTold = this.#isTold(call, this.limiters.for(context, call.kind))
    return isTold ? call : undefined
  }

  /** Decides about a call right before its handler runs. Throws or rejects as {@link enter}. */
  begin(context: ExecutionContext, call: Call): MaybePromise<boolean> {
    return this.#ask(context, call, this.limiters.for(context, call.kind))
  }

  #isTold(call: Call, limiters: readonly RequestLimiter[]): boolean {
    return call.endsWithHandler && (this.#asksShield(call) || this.limiters.anyLasts(limiters))
  }

  /** Requests of HTTP have passed it before they came to a guard. */
  #asksShield({ kind }: Call): boolean {
    return (kind === 'ws' || kind === 'rpc') && this.limiters.shield?.isOn === true
  }

  #ask(
    context: ExecutionContext,
    call: Call,
    limiters: readonly RequestLimiter[],
  ): MaybePromise<boolean> {
    // One after the other: each must know what the one before was charged.
    if (call.turn !== undefined) return call.turn.then(() => this.#ask(context, call, limiters))
    for (const limiter of limiters) {
      const refusal = call.refused.get(limiter)
      if (refusal !== undefined) throw exceptionOf(refusal, call.kind, patternOf(call, context))
    }
    const open = limiters.filter((limiter) => !call.passed.has(limiter))
    if (open.length === 0 && !this.#asksShield(call)) return true
    const request = call.requestFor(context)
    const refused = andThen(
      this.#askShield(call, request),
      (found) => found ?? askAll(call, request, open),
    )
    if (!(refused instanceof Promise)) return conclude(refused, call, context)
    const turn = refused.finally(() => {
      call.turn = undefined
    })
    call.turn = turn.catch(() => {})
    return turn.then((found) => conclude(found, call, context))
  }

  #askShield(call: Call, request: object): MaybePromise<Refused | undefined> {
    const { shield, own } = this.limiters
    if (shield === undefined || !this.#asksShield(call)) return undefined
    return andThen(shield.decide(request, call.response), (refusal) => {
      if (refusal === undefined) return undefined
      shield.count(refusal, request, own?.limiter)
      return { refusal, limiter: undefined, request }
    })
  }
}

/** All of them are charged, or none: a limiter that refuses gives back what those before it have charged. */
function askAll(
  call: Call,
  request: object,
  limiters: readonly RequestLimiter[],
  at = 0,
): MaybePromise<Refused | undefined> {
  const limiter = limiters[at]
  if (limiter === undefined) {
    for (const one of limiters) call.passed.add(one)
    return undefined
  }
  const goOn = (refusal: Outcome): MaybePromise<Refused | undefined> => {
    if (refusal === undefined) return askAll(call, request, limiters, at + 1)
    call.refused.set(limiter, refusal)
    return { refusal, limiter, request }
  }
  return andThen(limiter.decide(request, call.response), goOn)
}

function conclude(
  refused: Refused | undefined,
  call: Call,
  context: ExecutionContext,
): MaybePromise<true> {
  if (refused === undefined) return true
  const { refusal, limiter, request } = refused
  const { kind, response } = call
  const exception = (): Error => exceptionOf(refusal, kind, patternOf(call, context))
  const isAnswered = kind === 'http' && limiter !== undefined
  if (!isAnswered || (limiter.handsOn && isOpen(refusal))) throw exception()
  // Once the answer is on its way, neither the handler may run nor a filter answer: the promise stays open, and is
  // forgotten with the request.
  return new Promise((_resolve, reject) => {
    void limiter.refuse(refusal, { request, response }, () => reject(exception()))
  })
}

/** The pattern of a message, by which its sender can tell which one was refused. */
function patternOf({ kind }: Call, context: ExecutionContext): unknown {
  if (kind === 'ws') return context.switchToWs().getPattern()
  if (kind !== 'rpc') return undefined
  const { getPattern } = context.switchToRpc().getContext<{ getPattern?: () => unknown }>() ?? {}
  return typeof getPattern === 'function'
    ? getPattern.call(context.switchToRpc().getContext())
    : undefined
}
