import type { Decision } from '../decision.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen, unlessClosed } from '../maybe-promise.ts'
import type { ProvisionalCharge } from './provisional-charge.ts'
import type { RequestLimits } from './request-limits.ts'

/** A request and its response. */
export interface Exchange<Request, Response> {
  readonly request: Request
  readonly response: Response
  /** What the request was charged before. */
  readonly before: ChargeRecord | undefined
}

/** Whom a budget belongs to: a guard, or all that name one scope. */
export type BudgetOwner = symbol | string

/** That a request has been decided about, and what it was charged. Of several, the last comes first. */
export class ChargeRecord {
  readonly owner: BudgetOwner
  readonly budget: RequestLimits
  readonly key: string
  readonly cost: number | undefined
  readonly decision: Decision
  readonly hold: ProvisionalCharge | undefined
  /** Whether clients are told of it. */
  readonly isShown: boolean
  /** Whether it only reports. */
  readonly isDry: boolean
  readonly before: ChargeRecord | undefined

  constructor(
    owner: BudgetOwner,
    budget: RequestLimits,
    key: string,
    cost: number | undefined,
    decision: Decision,
    hold: ProvisionalCharge | undefined,
    isShown: boolean,
    isDry: boolean,
    before: ChargeRecord | undefined,
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
  readonly #last: ChargeRecord

  constructor(decision: Decision, last: ChargeRecord) {
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
  static lastOf(request: object): ChargeRecord | undefined {
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
export function attachDecision(request: object, passage: ChargeRecord): void {
  const { decision } = passage.before === undefined ? passage : tightest(passage, isEnforced)
  const limited = request as Limited
  limited.rateLimit = new RequestDecision(decision, passage)
}

/**
 * What this budget said about the request before: one request is charged once.
 *
 * @param key if one owner may have asked by several
 */
export function findCharge(
  owner: BudgetOwner,
  passage: ChargeRecord | undefined,
  key?: string,
): ChargeRecord | undefined {
  for (let at = passage; at !== undefined; at = at.before) {
    if (at.owner === owner && (key === undefined || at.key === key)) return at
  }
  return undefined
}

/** Gives back what budgets before this one charged: several limits are charged all or none. */
export function rollback(passage: ChargeRecord | undefined): MaybePromise<void> {
  if (passage === undefined) return
  // One that is closed denies no request any more.
  const given = unlessClosed(() => unwind(passage))
  return andThen(given, () => rollback(passage.before))
}

/** The denying one, or the one with least left; of equals the one with the longer wait. */
export function tightest(
  passage: ChargeRecord,
  isMeant: (passage: ChargeRecord) => boolean,
): ChargeRecord {
  let found = passage
  for (let at = passage.before; at !== undefined; at = at.before) {
    if (!isMeant(found) || (isMeant(at) && isTighter(at.decision, found.decision))) found = at
  }
  return found
}

/** Whether clients are told of it. */
export function isShown(passage: ChargeRecord): boolean {
  return passage.isShown
}

/** Whether it is no dry run. */
export function isEnforced(passage: ChargeRecord): boolean {
  return !passage.isDry
}

function unwind({ hold, budget, key, cost, decision }: ChargeRecord): MaybePromise<void> {
  if (hold !== undefined) return hold.cancel()
  // A dry run may have denied: it was charged nothing.
  if (decision.allowed && cost !== 0) return budget.limiter.refund(key, cost)
}

function isTighter(one: Decision, other: Decision): boolean {
  if (one.allowed !== other.allowed) return other.allowed
  if (one.remaining !== other.remaining) return one.remaining < other.remaining
  return one.limitResetMs > other.limitResetMs
}
