import { channel } from 'node:diagnostics_channel'
import type { Decision } from '../../decision.ts'
import { settle } from './answer.ts'
import type { Warnings } from './warning.ts'

/** A request that was decided about. */
export interface DecisionEvent<Request> {
  readonly request: Request
  /** What the caller was counted as; a secret if your key function makes one of a secret. */
  readonly key: string | undefined
  /** `undefined` for a request that was refused without being counted. */
  readonly decision: Decision | undefined
  /** Whether a denial is only reported. */
  readonly dryRun: boolean
}

/** Something that failed while a request was decided about. */
export interface ErrorEvent<Request> {
  readonly request: Request
  readonly error: unknown
}

/** Told what happens, in this order of likelihood. They must not throw; if one does, the request goes on. */
export interface Hooks<Request> {
  readonly onAdmit?: ((event: DecisionEvent<Request>) => void) | undefined
  readonly onDeny?: ((event: DecisionEvent<Request>) => void) | undefined
  readonly onError?: ((event: ErrorEvent<Request>) => void) | undefined
}

const ADMIT = channel('ratethrottle:admit')
const DENY = channel('ratethrottle:deny')
const ERROR = channel('ratethrottle:error')

/** Tells hooks and the channels `ratethrottle:admit`, `:deny` and `:error`. Free when nobody listens. */
export class Events<Request> {
  readonly #hooks: Hooks<Request>
  readonly #warnings: Warnings

  constructor(hooks: Hooks<Request>, warnings: Warnings) {
    this.#hooks = hooks
    this.#warnings = warnings
  }

  admitted(request: Request, key: string, decision: Decision, dryRun: boolean): void {
    if (this.#hooks.onAdmit === undefined && !ADMIT.hasSubscribers) return
    const event = { request, key, decision, dryRun }
    this.#call(this.#hooks.onAdmit, event)
    ADMIT.publish(event)
  }

  denied(
    request: Request,
    key: string | undefined,
    decision: Decision | undefined,
    dryRun: boolean,
  ): void {
    if (this.#hooks.onDeny === undefined && !DENY.hasSubscribers) return
    const event = { request, key, decision, dryRun }
    this.#call(this.#hooks.onDeny, event)
    DENY.publish(event)
  }

  /** An error that nobody listens for is told once: it must not vanish. */
  failed(request: Request, error: unknown): void {
    const event = { request, error }
    if (this.#hooks.onError === undefined && !ERROR.hasSubscribers) {
      this.#warnings.tell(
        'RATETHROTTLE_FAILED',
        'deciding about a request failed; give onError to be told of each case and its reason',
      )
    }
    this.#call(this.#hooks.onError, event)
    ERROR.publish(event)
  }

  #call<Event>(hook: ((event: Event) => void) | undefined, event: Event): void {
    const failed = (): void =>
      this.#warnings.tell('RATETHROTTLE_HOOK_FAILED', 'onAdmit, onDeny or onError threw')
    try {
      const answer = settle<unknown>(hook?.(event))
      // Nobody waits for an async hook, and one that rejects must not end the process.
      if (answer instanceof Promise) answer.catch(failed)
    } catch {
      failed()
    }
  }
}
