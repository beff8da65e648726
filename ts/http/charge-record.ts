import type { Decision } from '../decision.ts'
import type { Answer } from '../limiter.ts'
import { then, unlessClosed } from '../maybe-promise.ts'
import type { Hold } from './provisional-charge.ts'
import type { Budget } from './request-limits.ts'

/** Whom a budget belongs to: a guard, or all that name one scope. */
export type BudgetOwner = symbol | string

/** That a request has been decided about, and what it was charged. Of several, the last comes first. */
export class Passage {
  readonly owner: BudgetOwner
  readonly budget: Budget
  readonly key: string
  readonly cost: number | undefined
  readonly decision: Decision
  readonly hold: Hold | undefined
  /** Whether clients are told of it. */
  readonly isShown: boolean
  /** Whether it only reports. */
  readonly isDry: boolean
  readonly before: Passage | undefined

  constructor(
    owner: BudgetOwner,
    budget: Budget,
    key: string,
    cost: number | undefined,
    decision: Decision,
    hold: Hold | undefined,
    isShown: boolean,
    isDry: boolean,
    before: Passage | undefined,
  ) {
    this.owner = owner
    this.budget = budget
    this.key = key
    this.cost = cost
    this.decision = decision
    this.hold = hold
    this.isShown = isShown
    this.isDry = isDry
    this.before = before
  }
}

/**
 * The decision that handlers see as `request.rateLimit`, which knows how it came about.
 *
 * One property for both: each that is added to a request costs Express on Node 20 as much as deciding.
 */
export class RequestDecision implements Decision {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly limitResetMs: number
  readonly retryAfterMs: number
  readonly retryAfter: number | undefined
  readonly policy: number
  readonly #last: Passage

  constructor(decision: Decision, last: Passage) {
    this.allowed = decision.allowed
    this.limit = decision.limit
    this.remaining = decision.remaining
    this.resetMs = decision.resetMs
    this.limitResetMs = decision.limitResetMs
    this.retryAfterMs = decision.retryAfterMs
    this.retryAfter = decision.retryAfter
    this.policy = decision.policy
    this.#last = last
  }

  /** What a request has been charged so far. */
  static lastOf(request: object): Passage | undefined {
    const { rateLimit } = request as Limited
    if (typeof rateLimit !== 'object' || rateLimit === null) return undefined
    return #last in rateLimit ? rateLimit.#last : undefined
  }
}

/** What is put on a request. */
interface Limited {
  rateLimit?: Decision | null
}

/** Leaves the decision with the request; of several the tightest that is no dry run. */
export function keepPassage(request: object, passage: Passage): void {
  const { decision } = passage.before === undefined ? passage : tightest(passage, isBinding)
  const limited = request as Limited
  limited.rateLimit = new RequestDecision(decision, passage)
}

/**
 * What this budget said about the request before: one request is charged once.
 *
 * @param key if one owner may have asked by several
 */
export function earlier(
  owner: BudgetOwner,
  passage: Passage | undefined,
  key?: string,
): Passage | undefined {
  for (let at = passage; at !== undefined; at = at.before) {
    if (at.owner === owner && (key === undefined || at.key === key)) return at
  }
  return undefined
}

/** Gives back what budgets before this one charged: several limits are charged all or none. */
export function giveBack(passage: Passage | undefined): Answer<void> {
  if (passage === undefined) return
  // One that is closed denies no request any more.
  const given = unlessClosed(() => unwind(passage))
  return then(given, () => giveBack(passage.before))
}

/** The denying one, or the one with least left; of equals the one with the longer wait. */
export function tightest(passage: Passage, isMeant: (passage: Passage) => boolean): Passage {
  let found = passage
  for (let at = passage.before; at !== undefined; at = at.before) {
    if (!isMeant(found) || (isMeant(at) && isTighter(at.decision, found.decision))) found = at
  }
  return found
}

/** Whether clients are told of it. */
export function isShown(passage: Passage): boolean {
  return passage.isShown
}

/** Whether it is no dry run. */
export function isBinding(passage: Passage): boolean {
  return !passage.isDry
}

function unwind({ hold, budget, key, cost, decision }: Passage): Answer<void> {
  if (hold !== undefined) return hold.cancel()
  // A dry run may have denied: it was charged nothing.
  if (decision.allowed && cost !== 0) return budget.tier.refund(key, cost)
}

function isTighter(one: Decision, other: Decision): boolean {
  if (one.allowed !== other.allowed) return other.allowed
  if (one.remaining !== other.remaining) return one.remaining < other.remaining
  return one.limitResetMs > other.limitResetMs
}
