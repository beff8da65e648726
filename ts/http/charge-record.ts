import type { Decision } from '../decision.ts'
import { andThen, type MaybePromise, unlessClosed } from '../limiter.ts'
import type { Settle } from './provisional-charge.ts'
import type { RequestLimits } from './request-limits.ts'

/** A request and its response. */
export interface Exchange {
  readonly request: object
  readonly response: object
  /** The newest charge made for the request before. */
  readonly previous: ChargeRecord | undefined
}

/** The limiter that made a charge, or all limiters of one scope. */
export interface ChargeOwner {
  readonly id: symbol | string
  /** Whether clients see its headers. */
  readonly isShown: boolean
  /** Whether it only reports. */
  readonly isDryRun: boolean
}

/** A charge made for a request. Charges form a linked list, newest first. */
export interface ChargeRecord {
  readonly owner: ChargeOwner
  readonly limits: RequestLimits
  readonly key: string
  readonly cost: number | undefined
  readonly decision: Decision
  /** For a charge that is refunded unless the request turns out to count. */
  readonly settle: Settle | undefined
  /** Whether the request waited for its turn, or for the outcome of others. */
  readonly hasWaited: boolean
  readonly previous: ChargeRecord | undefined
}

/** A charge that stands. */
export function chargeOf(
  owner: ChargeOwner,
  { previous }: Exchange,
  limits: RequestLimits,
  key: string,
  cost: number | undefined,
  decision: Decision,
): ChargeRecord {
  return { owner, limits, key, cost, decision, settle: undefined, hasWaited: false, previous }
}

/**
 * Public decision, `request.rateLimit`, that also carries the charges of the request.
 *
 * One property for both: adding another to a request costs Express on Node 20 as much as deciding.
 */
class RequestDecision implements Decision {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly limitResetMs: number
  readonly retryAfterMs: number
  readonly retryAfter: number | undefined
  readonly policy: number
  readonly #newest: ChargeRecord

  constructor(decision: Decision, newest: ChargeRecord) {
    this.allowed = decision.allowed
    this.limit = decision.limit
    this.remaining = decision.remaining
    this.resetMs = decision.resetMs
    this.limitResetMs = decision.limitResetMs
    this.retryAfterMs = decision.retryAfterMs
    this.retryAfter = decision.retryAfter
    this.policy = decision.policy
    this.#newest = newest
  }

  static newestOf(decision: object): ChargeRecord | undefined {
    return #newest in decision ? decision.#newest : undefined
  }
}

interface Limited {
  rateLimit?: Decision | null
}

/** The newest charge made for a request. */
export function newestCharge(request: object): ChargeRecord | undefined {
  const { rateLimit } = request as Limited
  if (typeof rateLimit !== 'object' || rateLimit === null) return undefined
  return RequestDecision.newestOf(rateLimit)
}

/** Leaves the decision on the request: of several the tightest, dry runs aside. */
export function attachDecision(request: object, record: ChargeRecord): void {
  const { decision } = record.previous === undefined ? record : tightest(record, isEnforced)
  const limited = request as Limited
  limited.rateLimit = new RequestDecision(decision, record)
}

/**
 * What an owner has charged the request before: a request is charged once.
 *
 * @param key for an owner that may charge a request by several keys
 */
export function findCharge(
  newest: ChargeRecord | undefined,
  id: ChargeOwner['id'],
  key?: string,
): ChargeRecord | undefined {
  for (let at = newest; at !== undefined; at = at.previous) {
    if (at.owner.id === id && (key === undefined || at.key === key)) return at
  }
  return undefined
}

/** Refunds this charge and all before it: several limits are charged all or none. */
export function rollback(record: ChargeRecord | undefined): MaybePromise<void> {
  if (record === undefined) return
  // A limiter that was closed meanwhile has no counters to refund to.
  const refunded = unlessClosed(() => refund(record))
  return andThen(refunded, () => rollback(record.previous))
}

/** The charge that denies, or has least left; of equals the one with the longer wait. */
export function tightest(
  newest: ChargeRecord,
  filter: (record: ChargeRecord) => boolean,
): ChargeRecord {
  let found = newest
  for (let at = newest.previous; at !== undefined; at = at.previous) {
    if (!filter(found) || (filter(at) && isTighter(at.decision, found.decision))) found = at
  }
  return found
}

export function isShown({ owner }: ChargeRecord): boolean {
  return owner.isShown
}

export function isEnforced({ owner }: ChargeRecord): boolean {
  return !owner.isDryRun
}

/** Gives back what a charge has taken. */
export function refund({ settle, limits, key, cost, decision }: ChargeRecord): MaybePromise<void> {
  if (settle !== undefined) return settle(false)
  // A dry run that denied has charged nothing.
  if (decision.allowed && cost !== 0) return limits.limiter.refund(key, cost)
}

function isTighter(one: Decision, other: Decision): boolean {
  if (one.allowed !== other.allowed) return other.allowed
  if (one.remaining !== other.remaining) return one.remaining < other.remaining
  return one.limitResetMs > other.limitResetMs
}
