import type { Level, Reason, ShieldDecision, ShieldRequest } from './types.ts'

/** What the shield says about a request: `request.shield`. */
export interface RequestVerdict extends ShieldDecision {
  /** Whether `onSuspect` wants the client to prove what it is: show it a challenge. */
  readonly challenge: boolean
}

/** What `onSuspect` can answer: refuse as usual, let through, or let through to be challenged. */
export type SuspectAnswer = 'default' | 'pass' | 'challenge'

/**
 * The public verdict, that also carries what the guard was asked. One property of the request for both: adding
 * another to a request costs Express on Node 20 as much as deciding.
 */
export class KnownVerdict implements RequestVerdict {
  readonly level: Level
  readonly reasons: readonly Reason[]
  readonly retryAfterMs: number
  readonly allowed: boolean
  readonly status: 429 | 503 | undefined
  readonly challenge: boolean
  readonly #guard: object
  readonly #asked: ShieldRequest
  readonly #previous: KnownVerdict | undefined
  #isWatched = false
  #isSettled = false

  /** @param previous what another guard said about the request */
  constructor(
    decision: ShieldDecision,
    answer: SuspectAnswer,
    guard: object,
    asked: ShieldRequest,
    previous: KnownVerdict | undefined,
  ) {
    const isAllowed = decision.allowed || answer !== 'default'
    this.level = decision.level
    this.reasons = decision.reasons
    this.retryAfterMs = decision.retryAfterMs
    this.allowed = isAllowed
    this.status = isAllowed ? undefined : decision.status
    this.challenge = answer === 'challenge'
    this.#guard = guard
    this.#asked = asked
    this.#previous = previous
  }

  /** What this guard has said about a request, if it was asked. */
  static of(shown: unknown, guard: object): KnownVerdict | undefined {
    let at = KnownVerdict.newest(shown)
    while (at !== undefined && at.#guard !== guard) at = at.#previous
    return at
  }

  /** The last verdict about a request: `undefined` for what other code has put in its place. */
  static newest(shown: unknown): KnownVerdict | undefined {
    const isOurs = typeof shown === 'object' && shown !== null && #guard in shown
    return isOurs ? (shown as KnownVerdict) : undefined
  }

  /** Whether its caller is the first that has the end of the request told: false from then on. */
  watch(): boolean {
    if (this.#isWatched) return false
    this.#isWatched = true
    return true
  }

  /** What the guard was asked, the first time; `undefined` from then on. How a request ended is told once. */
  settle(): ShieldRequest | undefined {
    if (this.#isSettled) return undefined
    this.#isSettled = true
    return this.#asked
  }
}

/** About a request of which the guard was not asked. */
export const CLEAR_VERDICT: RequestVerdict = Object.freeze({
  level: 0,
  reasons: Object.freeze([]),
  retryAfterMs: 0,
  allowed: true,
  status: undefined,
  challenge: false,
})
