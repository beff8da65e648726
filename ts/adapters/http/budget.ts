import { mustBe } from '../../errors.ts'
import { defaultName, type Policy, policyItem } from '../../headers.ts'
import type { Limit, LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import type { Answer, Tier } from '../../tier.ts'
import { settle, then, within } from './answer.ts'
import type { Lines } from './lines.ts'

/** Limits that depend on who asks, such as a plan's; `false` for none at all. */
export type LimitsFunction<Request> = (
  request: Request,
) => LimitInput | false | PromiseLike<LimitInput | false>

/** Counters, and what clients are told about them. */
export interface Budget {
  readonly tier: Tier
  readonly policies: readonly Policy[]
  /** `RateLimit-Policy`, which never changes. */
  readonly policyText: string
  /** Those who wait for units that others hold. */
  readonly lines: Lines
}

/** Makes counters for limits, and the lines of those who wait for them. */
export type Open = (limits: readonly Limit[]) => Pick<Budget, 'tier' | 'lines'>

/** So many different sets of limits one function may return: each has a table of its own. */
const MOST_BUDGETS = 256

/** @param names for the limits in turn; those without get one from their figures */
export function openBudget(limits: LimitInput, names: readonly string[], open: Open): Budget {
  const parsed = readLimits(limits)
  const policies = parsed.map((limit, i) => ({ name: names[i] ?? defaultName(limit), limit }))
  return { ...open(parsed), policies, policyText: policies.map(policyItem).join(', ') }
}

/** The budgets of limits that a function names: each set of limits is parsed and opened once. */
export class Budgets<Request> {
  readonly #limits: LimitsFunction<Request>
  readonly #open: (limits: LimitInput) => Budget
  readonly #timeoutMs: number
  readonly #byText = new Map<string, Budget>()
  readonly #bySpelling = new Map<string, Budget>()
  readonly #byObject = new WeakMap<object, Budget>()

  constructor(
    limits: LimitsFunction<Request>,
    open: (limits: LimitInput) => Budget,
    timeoutMs: number,
  ) {
    this.#limits = limits
    this.#open = open
    this.#timeoutMs = timeoutMs
  }

  /** The budget of a request, or none if it is exempt. Throws or rejects with whatever the function does. */
  of(request: Request): Answer<Budget | undefined> {
    const limits = settle(this.#limits(request))
    const patient =
      limits instanceof Promise ? within(limits, this.#timeoutMs, 'the limits function') : limits
    return then(patient, (found) => this.#budget(found))
  }

  close(): void {
    for (const { tier } of this.#byText.values()) tier.close()
  }

  #budget(limits: LimitInput | false): Budget | undefined {
    if (limits === false) return undefined
    if (typeof limits === 'string') return this.#bySpelling.get(limits) ?? this.#spelt(limits)
    if (typeof limits !== 'object' || limits === null) {
      const accepted = 'limits, or false for none'
      throw new TypeError(mustBe('what the limits function returns', accepted, limits))
    }
    const known = this.#byObject.get(limits)
    if (known !== undefined) return known
    const budget = this.#opened(limits)
    this.#byObject.set(limits, budget)
    return budget
  }

  #spelt(limits: string): Budget {
    const budget = this.#opened(limits)
    if (this.#bySpelling.size < MOST_BUDGETS) this.#bySpelling.set(limits, budget)
    return budget
  }

  /** One for one set of limits, however it is written. */
  #opened(limits: LimitInput): Budget {
    const parsed = readLimits(limits)
    const text = parsed.map(({ count, windowMs }) => `${count}/${windowMs}ms`).join(';')
    const known = this.#byText.get(text)
    if (known !== undefined) return known
    if (this.#byText.size >= MOST_BUDGETS) {
      throw new RangeError(
        `the limits function has returned more than ${MOST_BUDGETS} sets of limits`,
      )
    }
    const budget = this.#open(limits)
    this.#byText.set(text, budget)
    return budget
  }
}
