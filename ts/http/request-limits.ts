import { figuresOf, type LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import type { Limiter, StoreStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen, toPromise, withTimeout } from '../maybe-promise.ts'
import { mustBe } from '../validate.ts'
import type { VariableLimiter } from '../variable/variable.ts'
import { AVAILABLE } from './controls.ts'
import { defaultName, type Policy, policyItem } from './headers.ts'
import type { HeldUnits } from './held-units.ts'
import { Recent } from './recent.ts'

/** Limits that depend on who asks, such as a plan's; `false` for none at all. */
export type LimitsFunction<Request> = (
  request: Request,
) => LimitInput | false | PromiseLike<LimitInput | false>

/** Counters, and what clients are told about them. */
export interface RequestLimits {
  readonly limiter: Limiter
  readonly policies: readonly Policy[]
  /** `RateLimit-Policy` of these limits. */
  readonly policyText: string
  /** Those who wait for units that others hold. */
  readonly held: HeldUnits
}

/** @param names for the limits in turn; those without get one from their figures */
export function budgetOf(tier: Limiter, lines: HeldUnits, names: readonly string[]): RequestLimits {
  const policies = tier.limits.map((limit, i) => ({ name: names[i] ?? defaultName(limit), limit }))
  return { limiter: tier, held: lines, policies, policyText: policies.map(policyItem).join(', ') }
}

/** The budgets of limits that a function names. They share one state: see {@link VariableLimiter}. */
export class LimitsByRequest<Request> {
  readonly #limits: LimitsFunction<Request>
  readonly #counters: VariableLimiter
  readonly #lines: HeldUnits
  readonly #names: readonly string[]
  readonly #timeoutMs: number
  readonly #bySpelling = new Recent<RequestLimits>()
  /** One for one set of limits, however it is written. */
  readonly #byFigures = new Recent<RequestLimits>()

  /** @param names for the limits in turn, whatever they are */
  constructor(
    limits: LimitsFunction<Request>,
    counters: VariableLimiter,
    lines: HeldUnits,
    names: readonly string[],
    timeoutMs: number,
  ) {
    this.#limits = limits
    this.#counters = counters
    this.#lines = lines
    this.#names = names
    this.#timeoutMs = timeoutMs
  }

  /** The budget of a request, or none if it is exempt. Throws or rejects with whatever the function does. */
  of(request: Request): MaybePromise<RequestLimits | undefined> {
    const limits = toPromise(this.#limits(request))
    const patient =
      limits instanceof Promise
        ? withTimeout(limits, this.#timeoutMs, 'the limits function')
        : limits
    return andThen(patient, (found) => this.#budget(found))
  }

  /** Forgets the key, whatever its limits were. */
  reset(key: string): MaybePromise<void> {
    return this.#counters.reset(key)
  }

  async ready(): Promise<StoreStatus> {
    return (await this.#counters.ready?.()) ?? AVAILABLE
  }

  close(): void {
    void this.#counters.close()
    void this.#lines.close()
  }

  #budget(limits: LimitInput | false): RequestLimits | undefined {
    if (limits === false) return undefined
    if (typeof limits === 'string') return this.#bySpelling.get(limits) ?? this.#spelt(limits)
    if (typeof limits !== 'object' || limits === null) {
      const accepted = 'limits, or false for none'
      throw new TypeError(mustBe('what the limits function returns', accepted, limits))
    }
    // An object may hold other figures than the last time.
    return this.#counted(limits)
  }

  #spelt(limits: string): RequestLimits {
    const budget = this.#counted(limits)
    this.#bySpelling.set(limits, budget)
    return budget
  }

  #counted(limits: LimitInput): RequestLimits {
    const parsed = readLimits(limits)
    const figures = figuresOf(parsed)
    const known = this.#byFigures.get(figures)
    if (known !== undefined) return known
    const budget = budgetOf(this.#counters.with(parsed), this.#lines, this.#names)
    this.#byFigures.set(figures, budget)
    return budget
  }
}
