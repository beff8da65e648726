import { types } from 'node:util'
import type { Decision } from '../decision.ts'
import { RateLimitExceeded } from '../errors.ts'
import { andThen, type MaybePromise, toPromise } from '../limiter.ts'
import type { AnyArgs, Charge, MethodOf, Rule } from './rule.ts'

/** Any method. */
export type Method = MethodOf<unknown, AnyArgs, unknown>

/** How callers of a method receive an error: thrown, by a rejected promise, or by the first `next()`. */
type Kind = 'sync' | 'async' | 'async-generator'

/** A method with the rules of all decorators on it, in written order. */
interface Limited {
  readonly method: Method
  readonly rules: readonly Rule[]
  kind: Kind
}

/** By wrapper. Weak: a class that is no longer used takes its limiters with it. */
const LIMITED = new WeakMap<object, Limited>()

/** The rules on a method, in the order they are written and checked in; none if it is not limited. */
export function rulesOf(method: object): readonly Rule[] {
  return LIMITED.get(method)?.rules ?? []
}

/**
 * Wraps a method. If it is a wrapper already, the rules are joined and the method inside is wrapped instead: so
 * one place charges for all of them, and can give back.
 */
export function limitMethod(inner: Method, rule: Rule): Method {
  const known = LIMITED.get(inner) ?? { method: inner, rules: [], kind: kindOf(inner) }
  const limited = { ...known, rules: [rule, ...known.rules] }
  const wrapper = newWrapper(limited)
  copyMetadata(wrapper, inner)
  LIMITED.set(wrapper, limited)
  return wrapper
}

/** Defined as a method, so that it is no constructor, like the method it wraps. */
function newWrapper(limited: Limited): Method {
  const { wrapper } = {
    wrapper(this: unknown, ...args: AnyArgs): unknown {
      return call(limited, this, args)
    },
  }
  return wrapper
}

/**
 * Name and length are the same. What other decorators have set on the method, or look for there, is found
 * through the prototype; reflect-metadata, and so Nest, looks there too.
 */
function copyMetadata(wrapper: Method, inner: Method): void {
  Object.setPrototypeOf(wrapper, inner)
  Object.defineProperty(wrapper, 'name', { value: inner.name, configurable: true })
  Object.defineProperty(wrapper, 'length', { value: inner.length, configurable: true })
}

/** The method itself runs outside of any `try`: what it throws is passed on, and gives nothing back. */
function call(limited: Limited, self: unknown, args: AnyArgs): unknown {
  const run = (): unknown => limited.method.apply(self, args)
  const pending =
    limited.kind === 'sync' ? admit(limited, self, args) : admitOrReject(limited, self, args)
  if (pending === undefined) return rememberAsync(limited, run())
  if (limited.kind === 'async-generator') return generateAfter(pending, run)
  limited.kind = 'async'
  return pending.then(run)
}

/** Charges the call: throws or rejects if it may not run. A promise if a limiter answers with one. */
function admit(limited: Limited, self: unknown, args: AnyArgs): MaybePromise<undefined> {
  // All keys and costs first: if one of them is wrong, nothing is charged.
  const charges = limited.rules.map((rule) => rule.charge(self, args))
  return andThen(charge(charges, 0), throwDenial)
}

function throwDenial(denial: Decision | undefined): undefined {
  if (denial !== undefined) throw new RateLimitExceeded(denial)
}

/** {@link admit} that rejects and never throws. */
function admitOrReject(limited: Limited, self: unknown, args: AnyArgs): MaybePromise<undefined> {
  try {
    return admit(limited, self, args)
  } catch (error) {
    return Promise.reject(error)
  }
}

/**
 * Charges all from `at` on, or none: what was charged is given back when a later charge is denied or its limiter
 * fails. Answers at once if all limiters do.
 *
 * @returns the denial, or undefined when all are charged
 */
function charge(charges: readonly Charge[], at: number): MaybePromise<Decision | undefined> {
  const { limiter, key, cost } = charges[at] as Charge
  const decision = toPromise(limiter.check(key, cost))
  return decision instanceof Promise
    ? decision.then((found) => chargeRest(charges, at, found))
    : chargeRest(charges, at, decision)
}

function chargeRest(
  charges: readonly Charge[],
  at: number,
  decision: Decision,
): MaybePromise<Decision | undefined> {
  if (!decision.allowed) return decision
  if (at === charges.length - 1) return undefined
  const giveBack = (): MaybePromise<void> => refund(charges[at] as Charge)
  const failed = (error: unknown): MaybePromise<never> =>
    andThen(giveBack(), () => {
      throw error
    })
  const finish = (denial: Decision | undefined): MaybePromise<Decision | undefined> =>
    denial === undefined ? undefined : andThen(giveBack(), () => denial)
  let rest: MaybePromise<Decision | undefined>
  try {
    rest = charge(charges, at + 1)
  } catch (error) {
    return failed(error)
  }
  return rest instanceof Promise ? rest.then(finish, failed) : finish(rest)
}

/**
 * Never fails: the caller needs to know why the method did not run, not what went wrong after that. A unit that
 * stays charged errs towards denial.
 */
function refund({ limiter, key, cost }: Charge): MaybePromise<void> {
  try {
    const done = toPromise(limiter.refund(key, cost))
    return done instanceof Promise ? done.catch(() => {}) : undefined
  } catch {
    return undefined
  }
}

/** Callers of a plain method that has returned a promise once expect a rejection. */
function rememberAsync(limited: Limited, result: unknown): unknown {
  if (limited.kind === 'sync' && types.isPromise(result)) limited.kind = 'async'
  return result
}

/** A denial of a generator whose `next()` is never called is not reported: it must not end the process. */
function generateAfter(pending: Promise<void>, run: () => unknown): AsyncGenerator {
  pending.catch(() => undefined)
  return generate(pending, run)
}

async function* generate(pending: Promise<void>, run: () => unknown): AsyncGenerator {
  await pending
  return yield* run() as AsyncGenerator
}

/** By the tag, which a function of another realm has too. */
function kindOf(method: Method): Kind {
  switch (Object.prototype.toString.call(method)) {
    case '[object AsyncFunction]':
      return 'async'
    case '[object AsyncGeneratorFunction]':
      return 'async-generator'
    default:
      return 'sync'
  }
}
