import type { Decision } from '../decision.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { Bill } from './rule.ts'

/**
 * Pays every bill in turn, or none: what was paid is given back when a later one is denied or its limiter
 * fails. Answers at once if all limiters do.
 *
 * @returns the denial, or undefined when all is paid
 */
export function charge(bills: readonly Bill[]): MaybePromise<Decision | undefined> {
  const [bill, another] = bills
  // Nobody pays before a single bill, so there is nothing to give back; half the time of the steps.
  if (bill !== undefined && another === undefined) return chargeOne(bill)
  return drive(paying(bills))
}

function chargeOne({ limiter, key, cost }: Bill): MaybePromise<Decision | undefined> {
  const decision = limiter.check(key, cost)
  return isPromise(decision) ? decision.then(denial) : denial(decision)
}

function denial(decision: Decision): Decision | undefined {
  return decision.allowed ? undefined : decision
}

/** Steps that hand out a limiter's answer, promise or not, and go on with what it holds. */
type Steps<T> = Generator<unknown, T, unknown>

function* paying(bills: readonly Bill[]): Steps<Decision | undefined> {
  let paid = 0
  try {
    for (const { limiter, key, cost } of bills) {
      const decision = (yield limiter.check(key, cost)) as Decision
      if (!decision.allowed) return decision
      paid += 1
    }
    return undefined
  } finally {
    if (paid < bills.length) yield* givingBack(bills.slice(0, paid))
  }
}

function* givingBack(bills: readonly Bill[]): Steps<void> {
  for (const { limiter, key, cost } of bills.toReversed()) {
    try {
      yield limiter.refund(key, cost)
    } catch {
      // The caller is to learn why the method did not run, not what befell a limiter behind that. The
      // unit that stays charged errs towards denial.
    }
  }
}

/** Written once for both kinds of limiters: nothing here turns asynchronous before one of them does. */
function drive<T>(steps: Steps<T>): MaybePromise<T> {
  let step = steps.next()
  while (step.done !== true) {
    if (isPromise(step.value)) return driveLater(steps, step.value)
    step = steps.next(step.value)
  }
  return step.value
}

async function driveLater<T>(steps: Steps<T>, first: PromiseLike<unknown>): Promise<T> {
  let step = await resume(steps, first)
  while (step.done !== true) step = await resume(steps, step.value)
  return step.value
}

async function resume<T>(steps: Steps<T>, answer: unknown): Promise<IteratorResult<unknown, T>> {
  let value: unknown
  try {
    value = await answer
  } catch (error) {
    return steps.throw(error)
  }
  return steps.next(value)
}

/** Whether it has a `then`: tiers and methods may answer with promises of another make or realm. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject && 'then' in value && typeof value.then === 'function'
}
