import { channel } from 'node:diagnostics_channel'
import type { Decision } from '../decision.ts'
import { toPromise } from '../maybe-promise.ts'
import { reasonOf } from './reason.ts'
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

/** Tells hooks and the channels `ratethrottle:admit`, `:deny` and `:error`. Free when nothing listens. */
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

  /** Without a listener an error is a warning, once: it must not vanish. */
  failed(request: Request, error: unknown): void {
    const event = { request, error }
    const isHeard = this.#hooks.onError !== undefined || ERROR.hasSubscribers
    if (!isHeard && !this.#warnings.has('RATETHROTTLE_FAILED')) {
      this.#warnings.warnOnce(
        'RATETHROTTLE_FAILED',
        `deciding about a request failed: ${reasonOf(error)}. Give onError to hear of each case`,
      )
    }
    this.#call(this.#hooks.onError, event)
    ERROR.publish(event)
  }

  /** A key function that never finds a key refuses every request, each with a plain 400. */
  keyMissing(): void {
    this.#warnings.warnOnce(
      'RATETHROTTLE_KEY_MISSING',
      'a request was refused with 400 (KEY_MISSING): the key function returned undefined, null or an empty ' +
        "text for it. Say missingKey: 'deny' if that is meant, 'ip' or 'shared' to count such requests",
    )
  }

  #call<Event>(hook: ((event: Event) => void) | undefined, event: Event): void {
    const failed = (error: unknown): void => {
      if (this.#warnings.has('RATETHROTTLE_HOOK_FAILED')) return
      const message = `onAdmit, onDeny or onError threw: ${reasonOf(error)}`
      this.#warnings.warnOnce('RATETHROTTLE_HOOK_FAILED', message)
    }
    try {
      const answer = toPromise<unknown>(hook?.(event))
      // Nothing waits for an async hook, and one that rejects must not end the process.
      if (answer instanceof Promise) answer.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}
