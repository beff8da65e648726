import { readLimits } from '../limit/parse.ts'
import type { Limiter } from '../limiter.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { type InputErrorCode, integer, invalid, ownOptions, withCode } from '../validate.ts'

/** What a decorator needs of a limiter: every limiter of this package has it. */
export type MethodLimiter = Pick<Limiter, 'check' | 'refund'>

/** Arguments of any method. */
// biome-ignore lint/suspicious/noExplicitAny: no other type takes the parameters of every method
export type AnyArgs = any[]

/** A function called as the method is: with its `this` and its arguments. */
export type MethodOf<This, Args extends AnyArgs, Result> = (this: This, ...args: Args) => Result

/**
 * Who pays for a call, and how much.
 *
 * The types of `this` and of the arguments are those of the decorated method, never inferred from here.
 */
export interface CallOptions<This, Args extends AnyArgs> {
  /**
   * Names the caller, from the method's `this` and arguments: a string or a safe integer (42 and '42' are
   * one key). Default: one budget for all callers of the method.
   */
  readonly key?: NoInfer<MethodOf<This, Args, string | number>> | undefined
  /** Units that a call costs, or a function of the method's `this` and arguments. Default: 1. */
  readonly cost?: number | NoInfer<MethodOf<This, Args, number>> | undefined
}

/** Options of {@link limit} beside limits: those of a `RateLimiter`, and who pays how much. */
export interface LimitOptions<This, Args extends AnyArgs>
  extends RateLimiterOptions,
    CallOptions<This, Args> {}

/** What {@link limit} takes in place of limits: a limiter that exists already. */
export interface LimiterOptions<This, Args extends AnyArgs, L extends MethodLimiter>
  extends CallOptions<This, Args> {
  /**
   * The limiter to ask. Its keys are taken as they are, so methods that share it share the budget of a
   * key; without a key function, the key is the method's name.
   */
  readonly limiter: L
}

/** The decorator that {@link limit} returns: the methods it accepts. */
export interface LimitDecorator<This, Args extends AnyArgs, Result = unknown> {
  /** A decorator of TypeScript's `experimentalDecorators`. */
  // biome-ignore lint/suspicious/noExplicitAny: any method, whatever it is called on
  <Method extends MethodOf<any, AnyArgs, Result>>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void
  /** A standard decorator. Answers with a method of the same type, also when that one is generic. */
  // biome-ignore lint/suspicious/noExplicitAny: any method, whatever it is called on
  <Method extends MethodOf<any, AnyArgs, Result>>(
    method: Method,
    // biome-ignore lint/suspicious/noExplicitAny: as above
    context: ClassMethodDecoratorContext<any, any>,
  ): Method
  /** Never chosen: the compiler infers `This` and `Args` from the method by the last signature. */
  <R extends Result>(
    method: MethodOf<This, Args, R>,
    context: ClassMethodDecoratorContext<This, MethodOf<This, Args, R>>,
    // biome-ignore lint/suspicious/noExplicitAny: only the method's own type would do
  ): any
}

type AnyCallOptions = CallOptions<unknown, AnyArgs>
type AnyFunction = (this: unknown, ...args: AnyArgs) => unknown

/** One decorator on one method. */
export interface Rule {
  readonly limiter: MethodLimiter
  /** Whether the limiter was made for this method, and is closed with it. */
  readonly isOwn: boolean
  /** What one call is charged. Throws if the key or the cost is not accepted. */
  charge(self: unknown, args: AnyArgs): Charge
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
  return (name) => newRule(new RateLimiter(parsed, settings), true, name, own)
}

function readGiven(first: object, second: unknown): RuleMaker {
  if (second !== undefined) {
    throw invalid(
      TypeError,
      'INVALID_OPTION',
      'options',
      'left out when a limiter is given',
      second,
    )
  }
  const own = ownOptions(first as AnyCallOptions & { limiter: unknown }, [
    'limiter',
    ...CALL_OPTIONS,
  ])
  checkCallOptions(own)
  const limiter = readLimiter(own.limiter)
  return (name) => newRule(limiter, false, name, own)
}

function newRule(
  limiter: MethodLimiter,
  isOwn: boolean,
  name: string,
  { key, cost }: AnyCallOptions,
): Rule {
  const charge = (self: unknown, args: AnyArgs): Charge => ({
    limiter,
    key: key === undefined ? name : readKey(key, self, args),
    cost:
      typeof cost === 'function'
        ? readCost(call('cost', cost, self, args), 'INVALID_ARGUMENT')
        : cost,
  })
  return { limiter, isOwn, charge }
}

function readKey(key: AnyFunction, self: unknown, args: AnyArgs): string {
  const value = call('key', key, self, args)
  if (typeof value === 'string') return value
  if (Number.isSafeInteger(value)) return String(value)
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'what key returns', KEY, value)
}

function call(name: string, option: AnyFunction, self: unknown, args: AnyArgs): unknown {
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
