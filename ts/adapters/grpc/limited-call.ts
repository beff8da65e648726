import type {
  Metadata,
  Responder,
  ServerInterceptingCallInterface,
  ServerListener,
  ServerMethodDefinition,
} from '@grpc/grpc-js'
import { Admission, type CallGate, type Refusal } from '../../calls/gate.ts'
import { isClosed, RateLimitExceeded, RequestRefused } from '../../errors.ts'
import type { Ending } from '../../http/adapter.ts'
import { andThen, type MaybePromise } from '../../limiter.ts'
import { type GrpcCall, ServerCall } from './call.ts'
import type { Plan } from './plans.ts'
import { endingOf, type Grpc, refusedStatus } from './status.ts'

/** What the calls of one interceptor have in common. */
export interface Surroundings {
  readonly grpc: Grpc
  readonly gate: CallGate<ServerCall>
  readonly skip: ((call: GrpcCall) => boolean | PromiseLike<boolean>) | undefined
  readonly isDryRun: boolean
}

/** Why a wait ends: it needs no stack, and is seen by no one. */
const OVER = new Error('the call is over')

/**
 * One call, from its metadata to its end. grpc-js starts a handler when its metadata (streams of the client) or its only
 * message (other calls) is handed on. Until the call is admitted nothing is handed on, and nothing more is read.
 */
export class LimitedCall {
  readonly #around: Surroundings
  readonly #plan: Plan
  readonly #method: ServerMethodDefinition<unknown, unknown>
  readonly #next: ServerInterceptingCallInterface
  readonly #gone = new AbortController()
  #call: ServerCall | undefined
  #admitted: MaybePromise<Admission | undefined>
  /** How the call ends, as far as it is known. */
  #ending: Ending
  /** This interceptor has ended the call: what its handler still sends is dropped. */
  #isEnded = false
  #isOver = false

  constructor(
    around: Surroundings,
    plan: Plan,
    method: ServerMethodDefinition<unknown, unknown>,
    next: ServerInterceptingCallInterface,
  ) {
    this.#around = around
    this.#plan = plan
    this.#method = method
    this.#next = next
  }

  /** For `grpc.ServerInterceptingCall`. */
  responder(): Responder {
    const listener = this.#listener()
    return {
      start: (next) => next(listener),
      sendMetadata: (metadata, next) => {
        if (!this.#isEnded) next(metadata)
      },
      sendMessage: (message, next) => {
        if (!this.#isEnded) next(message)
      },
      sendStatus: (status, next) => {
        if (this.#isEnded) return
        this.#ending = endingOf(status.code ?? 2)
        next(status)
      },
    }
  }

  #listener(): ServerListener {
    const { messages } = this.#plan
    const listener: ServerListener = {
      onReceiveMetadata: (metadata, next) => this.#arrive(metadata, next),
      onCancel: () => this.#over(),
    }
    if (messages === undefined || !this.#method.requestStream) return listener
    return {
      ...listener,
      onReceiveMessage: (message, next) => this.#receive(messages, () => next(message)),
    }
  }

  #arrive(metadata: Metadata, next: (metadata: Metadata) => void): void {
    const { gate, skip } = this.#around
    const { limiters, messages } = this.#plan
    const call = new ServerCall(this.#method, this.#next, metadata)
    this.#call = call
    const found = gate.admit(call, {
      limiters,
      isKeyed: messages !== undefined && call.requestStream,
      isExempt: skip && (() => skip(call)),
      signal: this.#gone.signal,
    })
    const conclude = (answer: Admission | Refusal): void => {
      if (this.#conclude(answer)) next(metadata)
    }
    if (!(found instanceof Promise)) {
      conclude(found)
      return
    }
    // What a handler throws is not caught here: it would be taken for a failure of the limiter.
    const concluded = found.then(conclude, (): void => {})
    this.#admitted ??= concluded.then(() => this.#admission)
  }

  get #admission(): Admission | undefined {
    return this.#admitted instanceof Admission ? this.#admitted : undefined
  }

  /** @returns whether the call goes on */
  #conclude(answer: Admission | Refusal): boolean {
    if (answer instanceof Admission) {
      // Its permit came when the client had left.
      if (this.#isOver) answer.leave()
      else this.#admitted = answer
      return !this.#isOver
    }
    this.#refuse(answer)
    return false
  }

  #refuse(refusal: Refusal): void {
    if (this.#isOver || this.#isEnded) return
    this.#isEnded = true
    const status = refusedStatus(this.#around.grpc, refusal)
    this.#ending = endingOf(status.code)
    this.#next.sendStatus(status)
  }

  /** A message of the client. The next one is read when this has been handed on. */
  #receive(messages: NonNullable<Plan['messages']>, next: () => void): void {
    // Another interceptor may have read before the call was admitted.
    const charged = andThen(this.#admitted, (admission) => {
      if (this.#isOver || this.#isEnded) return false
      const key = admission?.key
      return key === undefined || this.#charge(messages, key)
    })
    if (charged instanceof Promise) void charged.then((isIn) => isIn && next())
    else if (charged) next()
  }

  /** Charges a message. @returns whether it is handed on. Never throws and never rejects */
  #charge(messages: NonNullable<Plan['messages']>, key: string): MaybePromise<boolean> {
    const waits = this.#plan.overflow === 'pause' && !this.#around.isDryRun
    try {
      const asked = waits ? messages.wait(key, 1, this.#gone.signal) : messages.check(key)
      const found = andThen(asked, (decision) => {
        if (decision instanceof RateLimitExceeded) return this.#overMessages(key, decision)
        const isIn = decision === undefined || decision.allowed
        return isIn || this.#overMessages(key, new RateLimitExceeded(decision))
      })
      return found instanceof Promise ? found.catch((error) => this.#failed(error)) : found
    } catch (error) {
      return this.#failed(error)
    }
  }

  #overMessages(key: string, refusal: RateLimitExceeded): boolean {
    const { gate, isDryRun } = this.#around
    if (this.#call !== undefined) gate.denied(this.#call, key, refusal.decision)
    if (!isDryRun) this.#refuse(refusal)
    return isDryRun
  }

  #failed(error: unknown): boolean {
    // The client has left while its message waited.
    if (error === OVER || this.#isOver) return false
    const { gate, isDryRun } = this.#around
    // A server that shuts down still ends its calls.
    if (this.#call !== undefined && !isClosed(error)) gate.failed(this.#call, error)
    if (!isDryRun) this.#refuse(new RequestRefused('RATE_LIMITER_FAILED', { cause: error }))
    return isDryRun
  }

  /**
   * The call is over: its status is sent, or its client has left. grpc-js says so once, however a call ends: also past
   * its deadline, when the connection is lost, and when the server shuts down.
   */
  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#gone.abort(OVER)
    this.#admission?.leave()
    this.#call?.ended(this.#ending)
  }
}
