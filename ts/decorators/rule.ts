import { readLimits } from '../limit/parse.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { mustBe, ownOptions } from '../validate.ts'
import type { AnyArgs, CallOptions, MethodLimiter } from './options.ts'

type AnyCallOptions = CallOptions<unknown, AnyArgs>
type AnyFunction = (this: unknown, ...args: AnyArgs) => unknown

/** One decorator on one method. */
export interface Rule {
  readonly limiter: MethodLimiter
  /** Whether the limiter was made for this method, and may be closed with it. */
  readonly isOwn: boolean
  /** What one call has to pay. Throws unless key and cost are such. */
  bill(self: unknown, args: AnyArgs): Bill
}

/** What one call has to pay to one limiter. */
export interface Bill {
  readonly limiter: MethodLimiter
  readonly key: string
  readonly cost: number | undefined
}

/** Makes the rule for the method of that name. */
export type RuleMaker = (name: string) => Rule

const CALL_OPTIONS = ['key', 'cost']
const KEY = 'a string or a safe integer'
const COST = 'an integer from 0 to 2^53 - 1'

/** Reads what `limit` was given. Throws for what is wrong; the limiters are made later, one a method. */
export function readRule(limits: unknown, options: unknown): RuleMaker {
  const isLimiter =
    typeof limits === 'object' && limits !== null && Object.hasOwn(limits, 'limiter')
  return isLimiter ? readBorrowed(limits, options) : readOwn(limits, options as RateLimiterOptions)
}

function readOwn(limits: unknown, options: RateLimiterOptions & AnyCallOptions = {}): RuleMaker {
  const parsed = readLimits(limits)
  const own = ownOptions(options, [...LIMITER_OPTIONS, ...CALL_OPTIONS])
  const { key, cost, ...rest } = own
  checkCallOptions(own)
  resolveOptions(rest)
  // A method without a key function has one key; and a name wants the same capacity everywhere.
  const isSingle = key === undefined && rest.name === undefined && rest.capacity === undefined
  const settings = isSingle ? { ...rest, capacity: 1 } : rest
  return (name) => newRule(new RateLimiter(parsed, settings), true, name, own)
}

function readBorrowed(first: object, second: unknown): RuleMaker {
  if (second !== undefined) {
    throw new TypeError(mustBe('options', 'left out where a limiter stands for limits', second))
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
  const bill = (self: unknown, args: AnyArgs): Bill => ({
    limiter,
    key: key === undefined ? name : readKey(key, self, args),
    cost: typeof cost === 'function' ? checkCost(ask('cost', cost, self, args)) : cost,
  })
  return { limiter, isOwn, bill }
}

function readKey(key: AnyFunction, self: unknown, args: AnyArgs): string {
  const value = ask('key', key, self, args)
  if (typeof value === 'string') return value
  if (Number.isSafeInteger(value)) return String(value)
  throw new TypeError(mustBe('what key returns', KEY, value))
}

function ask(name: string, question: AnyFunction, self: unknown, args: AnyArgs): unknown {
  try {
    return question.apply(self, args)
  } catch (cause) {
    throw new TypeError(`${name} must not throw: the method was not run`, { cause })
  }
}

function checkCallOptions({ key, cost }: AnyCallOptions): void {
  if (key !== undefined && typeof key !== 'function') {
    throw new TypeError(mustBe('key', `a function that returns ${KEY}`, key))
  }
  if (cost !== undefined && typeof cost !== 'function') checkCost(cost)
}

function checkCost(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(mustBe('cost', COST, value))
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(mustBe('cost', COST, value))
  return value
}

function readLimiter(value: unknown): MethodLimiter {
  const limiter = value as Partial<MethodLimiter> | null | undefined
  if (typeof limiter?.check === 'function' && typeof limiter.refund === 'function') {
    return limiter as MethodLimiter
  }
  throw new TypeError(mustBe('limiter', 'a limiter, with check and refund', value))
}
