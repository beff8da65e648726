import type { Decision } from '../../decision.ts'
import type { Answer } from '../../tier.ts'
import { then } from './answer.ts'
import type { Budget } from './budget.ts'
import type { Hold } from './hold.ts'

/** Whom a budget belongs to: a guard, or all that name one scope. */
export type BudgetOwner = symbol | string

const PASSAGE: unique symbol = Symbol('ratethrottle.passage')

/** What a request carries: the decision, for handlers, and how it came about. */
export interface Limited {
  /** The decision about this request; of several, the tightest. */
  rateLimit?: Decision | null
  [PASSAGE]?: Passage | null
}

/** That a request has been decided about, and what it was charged. Of several, the last comes first. */
export class Passage {
  readonly owner: BudgetOwner
  readonly budget: Budget
  readonly key: string
  readonly cost: number | undefined
  readonly decision: Decision
  /** Whether clients are told of it. */
  readonly isShown: boolean
  readonly hold: Hold | undefined
  readonly before: Passage | null | undefined

  constructor(
    owner: BudgetOwner,
    budget: Budget,
    key: string,
    cost: number | undefined,
    decision: Decision,
    hold: Hold | undefined,
    isShown: boolean,
    before: Passage | null | undefined,
  ) {
    this.owner = owner
    this.budget = budget
    this.key = key
    this.cost = cost
    this.decision = decision
    this.hold = hold
    this.isShown = isShown
    this.before = before
  }
}

/** What a request has been charged so far. */
export function passageOf(request: object): Passage | null | undefined {
  return (request as Limited)[PASSAGE]
}

/** Leaves the decision with the request. */
export function keepPassage(request: object, passage: Passage): void {
  const limited = request as Limited
  limited[PASSAGE] = passage
  if (passage.isShown || limited.rateLimit == null) limited.rateLimit = tightest(passage).decision
}

/** Whether this budget was already asked about the request: one request is charged once. */
export function isCharged(owner: BudgetOwner, passage: Passage | null | undefined): boolean {
  for (let at = passage; at != null; at = at.before) if (at.owner === owner) return true
  return false
}

/** Gives back what budgets before this one charged: several limits are charged all or none. */
export function giveBack(passage: Passage | null | undefined): Answer<void> {
  if (passage != null) return then(unwind(passage), () => giveBack(passage.before))
}

/** The denying one, or the one with least left; of equals the one with the longer wait. */
export function tightest(passage: Passage): Passage {
  let found = passage
  for (let at = passage.before; at != null; at = at.before) {
    if (at.isShown && isTighter(at.decision, found.decision)) found = at
  }
  return found
}

function unwind({ hold, budget, key, cost, decision }: Passage): Answer<void> {
  if (hold !== undefined) return hold.cancel()
  // A dry run may have denied: it was charged nothing.
  if (decision.allowed && cost !== 0) return budget.tier.refund(key, cost)
}

function isTighter(one: Decision, other: Decision): boolean {
  if (one.allowed !== other.allowed) return other.allowed
  if (one.remaining !== other.remaining) return one.remaining < other.remaining
  return one.resetMs > other.resetMs
}
