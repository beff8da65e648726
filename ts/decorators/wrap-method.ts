import { types } from 'node:util'
import type { InsightInput } from '../counting.ts'
import type { Decision } from '../decision.ts'
import type { CallOptions, MethodLimiter } from '../decorators.ts'
import { RateLimitExceeded } from '../errors.ts'
import { readLimits } from '../limit/parse.ts'
import { andThen, type MaybePromise, toPromise } from '../limiter.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { type InputErrorCode, integer, invalid, ownOptions, withCode } from '../validate.ts'

/** Arguments of any method. */
// biome-ignore lint/suspicious/noExplicitAny: no other type takes the parameters of every method
export type AnyArgs = any[]

/** A function called as the method is: with its `this` and its arguments. */
export type MethodOf<This, Args extends AnyArgs, Result> = (this: This, ...args: Args) => Result

/** Any method. */
export type Method = MethodOf<unknown, AnyArgs, unknown>
type AnyCallOptions = CallOptions<unknown, AnyArgs>

/** One decorator on one method: its key and cost functions, and the limiter they are for. */
export interface Rule extends AnyCallOptions {
  readonly limiter: MethodLimiter
  /** Whether the limiter was made for this method, and is closed with it. */
  readonly isOwn: boolean
  /** The method's name, which is the key without a key function. */
  readonly name: string
}

/** What one call is charged at one limiter. */
export interface Charge {
  readonly limiter: MethodLimiter
  readonly key: string
  readonly cost: number | undefined
}

/** Makes the rule for the method of that name. */
export type RuleMaker = (name: string) => Rule

const CALL_OPTIONS = ['key', 'cost']
const KEY = 'a string or a safe integer'

/** Reads what `limit` was given. Throws for what is wrong; the limiters are made later, one a method. */
export function readRule(limits: unknown, options: unknown): RuleMaker {
  const isLimiter =
    typeof limits === 'object' && limits !== null && Object.hasOwn(limits, 'limiter')
  return isLimiter ? readGiven(limits, options) : readOwn(limits, options as RateLimiterOptions)
}

function readOwn(limits: unknown, options: RateLimiterOptions & AnyCallOptions = {}): RuleMaker {
  const parsed = readLimits(limits)
  const own = ownOptions(options, [...LIMITER_OPTIONS, ...CALL_OPTIONS])
  const { key, cost, ...rest } = own
  checkCallOptions(own)
  resolveOptions(rest)
  // A method without a key function has one key. A name keeps its capacity: it must be the same everywhere.
  const isSingle = key === undefined && rest.name === undefined && rest.capacity === undefined
  const settings = isSingle ? { ...rest, capacity: 1 } : rest
  return (name) => {
    const limiter = new RateLimiter(parsed, { ...settings, insight: namedRow(settings, name) })
    return { limiter, isOwn: true, name, key, cost }
  }
}

/** In an insight a limiter without a name is called by its method. */
function namedRow(
  { insight, name: own }: RateLimiterOptions,
  name: string,
): InsightInput | undefined {
  if (insight === undefined || own !== undefined) return insight
  return { counter: (about) => insight.counter({ ...about, name }), shielded: () => {} }
}

function readGiven(first: object, second: unknown): RuleMaker {
  if (second !== undefined) {
    const accepted = 'left out when a limiter is given'
    throw invalid(TypeError, 'INVALID_OPTION', 'options', accepted, second)
  }
  const given: AnyCallOptions & { readonly limiter?: unknown } = first
  const own = ownOptions(given, ['limiter', ...CALL_OPTIONS])
  checkCallOptions(own)
  const { key, cost } = own
  const limiter = readLimiter(own.limiter)
  return (name) => ({ limiter, isOwn: false, name, key, cost })
}

/** What one call is charged. Throws if the key or the cost is not accepted. */
function chargeOf({ limiter, name, key, cost }: Rule, self: unknown, args: AnyArgs): Charge {
  const ownKey = key === undefined ? name : readKey(key, self, args)
  if (typeof cost !== 'function') return { limiter, key: ownKey, cost }
  const units = readCost(ask('cost', cost, self, args), 'INVALID_ARGUMENT')
  return { limiter, key: ownKey, cost: units }
}

function readKey(key: Method, self: unknown, args: AnyArgs): string {
  const value = ask('key', key, self, args)
  if (typeof value === 'string') return value
  if (Number.isSafeInteger(value)) return String(value)
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'what key returns', KEY, value)
}

function ask(name: string, option: Method, self: unknown, args: AnyArgs): unknown {
  try {
    return option.apply(self, args)
  } catch (cause) {
    const error = new TypeError(`${name} must not throw: the method was not run`, { cause })
    throw withCode(error, 'INVALID_ARGUMENT')
  }
}

function checkCallOptions({ key, cost }: AnyCallOptions): void {
  if (key !== undefined && typeof key !== 'function') {
    throw invalid(TypeError, 'INVALID_OPTION', 'key', `a function that returns ${KEY}`, key)
  }
  if (cost !== undefined && typeof cost !== 'function') readCost(cost, 'INVALID_OPTION')
}

function readCost(value: unknown, code: InputErrorCode): number {
  return integer(value, 'cost', 0, Number.MAX_SAFE_INTEGER, code)
}

function readLimiter(value: unknown): MethodLimiter {
  const limiter = value as Partial<MethodLimiter> | null | undefined
  if (typeof limiter?.check === 'function' && typeof limiter.refund === 'function') {
    return limiter as MethodLimiter
  }
  throw invalid(TypeError, 'INVALID_OPTION', 'limiter', 'a limiter, with check and refund', value)
}

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
  // Defined as a method, so that it is no constructor, like the method it wraps.
  const { wrapper } = {
    wrapper(this: unknown, ...args: AnyArgs): unknown {
      return call(limited, this, args)
    },
  }
  copyMetadata(wrapper, inner)
  LIMITED.set(wrapper, limited)
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
  const pending = admit(limited, self, args)
  if (pending === undefined) {
    const result = run()
    // Callers of a plain method that has returned a promise once expect a rejection.
    if (limited.kind === 'sync' && types.isPromise(result)) limited.kind = 'async'
    return result
  }
  if (limited.kind === 'async-generator') {
    // A denial is not reported if `next()` is never called: it must not end the process.
    pending.catch(() => undefined)
    return generateAfter(pending, run)
  }
  limited.kind = 'async'
  return pending.then(run)
}

async function* generateAfter(pending: Promise<void>, run: () => unknown): AsyncGenerator {
  await pending
  return yield* run() as AsyncGenerator
}

/** Charges the call: throws or rejects if it may not run. A promise if a limiter answers with one. */
function admit(limited: Limited, self: unknown, args: AnyArgs): MaybePromise<undefined> {
  try {
    // All keys and costs first: if one of them is wrong, nothing is charged.
    const charges = limited.rules.map((rule) => chargeOf(rule, self, args))
    return andThen(charge(charges, 0), (denial): undefined => {
      if (denial !== undefined) throw new RateLimitExceeded(denial)
    })
  } catch (error) {
    if (limited.kind === 'sync') throw error
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
  return andThen(toPromise(limiter.check(key, cost)), (decision) =>
    decision.allowed ? chargeRest(charges, at) : decision,
  )
}

/** Charges all behind `at`, which is charged. */
function chargeRest(charges: readonly Charge[], at: number): MaybePromise<Decision | undefined> {
  if (at === charges.length - 1) return undefined
  const giveBack = (): MaybePromise<void> => refund(charges[at] as Charge)
  const failed = (error: unknown): MaybePromise<never> =>
    andThen(giveBack(), () => {
      throw error
    })
  const finish = (denial: Decision | undefined): MaybePromise<Decision | undefined> =>
    denial === undefined ? undefined : andThen(giveBack(), () => denial)
  try {
    const rest = charge(charges, at + 1)
    return rest instanceof Promise ? rest.then(finish, failed) : finish(rest)
  } catch (error) {
    return failed(error)
  }
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

/** By the tag, which a function of another realm has too. */
function kindOf(method: Method): Kind {
  const tag = Object.prototype.toString.call(method)
  if (tag === '[object AsyncFunction]') return 'async'
  return tag === '[object AsyncGeneratorFunction]' ? 'async-generator' : 'sync'
}
