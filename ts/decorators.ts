/** Limits on methods: see {@link limit}. */

import type { Decision } from './decision.ts'
import {
  type AnyArgs,
  limitMethod,
  type Method,
  type MethodOf,
  type RuleMaker,
  readRule,
  rulesOf,
} from './decorators/wrap-method.ts'
import type { CheckedLimits, LimitInput } from './limit/limit.ts'
import type { Limiter } from './limiter.ts'
import type { RateLimiterOptions } from './options.ts'
import { RateLimiter } from './rate-limiter.ts'
import { invalid } from './validate.ts'

/** What a decorator needs of a limiter: every limiter of this package has it. */
export type MethodLimiter = Pick<Limiter, 'check' | 'refund'>

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

/** What a method must return to wait for a limiter that answers with promises. */
export type Later = PromiseLike<unknown> | AsyncGenerator<unknown, unknown, unknown>

/**
 * Limits how often a method runs: any method of a class, with standard decorators and with those of
 * TypeScript's `experimentalDecorators`.
 *
 * ```ts
 * class Mailer {
 *   @limit('100/minute')
 *   @limit('5/hour', { key: (to) => to })
 *   async send(to: string, text: string) { ... }
 * }
 * ```
 *
 * A call that is denied does not run the method: it throws a `RateLimitExceeded`; of an async method it
 * rejects, and of an async generator the first `next()` does. Several decorators one below the other are
 * checked in written order, and charged all or none. What the method itself throws is passed on as it is,
 * and gives nothing back.
 *
 * @param limits one or several limits, such as `'10/minute'` or `['10/second', '1000/hour']`
 * @param options those of a `RateLimiter`, `key` and `cost`
 * @throws InvalidLimit, TypeError or RangeError, when the class is defined, naming the argument. And a
 * call throws a TypeError when `key` throws or returns neither a string nor a safe integer.
 */
export function limit<
  const L extends LimitInput,
  // biome-ignore lint/suspicious/noExplicitAny: where the method is not known, it may be any
  This = any,
  Args extends AnyArgs = AnyArgs,
>(limits: CheckedLimits<L>, options?: LimitOptions<This, Args>): LimitDecorator<This, Args>
/**
 * Limits a method by a limiter that exists already, such as one whose counters are in Redis. If the limiter
 * answers with promises, the method must return a promise, or be an async generator.
 *
 * ```ts
 * class Mailer {
 *   @limit({ limiter: redisLimiter, key: (to) => `mail:${to}` })
 *   async send(to: string, text: string) { ... }
 * }
 * ```
 */
export function limit<
  M extends MethodLimiter,
  // biome-ignore lint/suspicious/noExplicitAny: as above
  This = any,
  Args extends AnyArgs = AnyArgs,
>(
  options: LimiterOptions<This, Args, M>,
): LimitDecorator<This, Args, ReturnType<M['check']> extends Decision ? unknown : Later>
export function limit(limits: unknown, options?: unknown): (...target: unknown[]) => unknown {
  const makeRule = readRule(limits, options)
  return (target, context, descriptor) =>
    typeof context === 'object' && context !== null
      ? decorate(makeRule, target, context)
      : decorateLegacy(makeRule, context, descriptor)
}

/**
 * The limiters of a method, in the order they are checked in: to look at, or to reset in a test.
 *
 * ```ts
 * const [limiter] = limitersOf(Mailer.prototype.send)
 * if (limiter instanceof RateLimiter) limiter.reset('send')   // without a key function: the method's name
 * ```
 *
 * @returns none if the method is not limited, or if another decorator has wrapped it since
 */
export function limitersOf(method: object): readonly (RateLimiter | MethodLimiter)[] {
  return rulesOf(method).map((rule) => rule.limiter)
}

/**
 * Closes the limiters that were made for a method, and frees their memory; the method can't be called any
 * more. Limiters that were handed to `limit` stay open. There is no need for it at the end of a process.
 *
 * ```ts
 * closeLimiters(Mailer.prototype.send)
 * ```
 */
export function closeLimiters(method: object): void {
  for (const { limiter, isOwn } of rulesOf(method)) {
    if (isOwn && limiter instanceof RateLimiter) limiter.close()
  }
}

function decorate(makeRule: RuleMaker, method: unknown, context: object): Method {
  const { kind, name } = context as Partial<ClassMethodDecoratorContext>
  if (kind !== 'method' || typeof method !== 'function') throw misplaced(kind)
  return limitMethod(method as Method, makeRule(String(name)))
}

/** Changes the descriptor and returns it too: TypeScript takes the result, Nest's applyDecorators does not. */
function decorateLegacy(makeRule: RuleMaker, name: unknown, descriptor: unknown): object {
  const isMethod = typeof (descriptor as PropertyDescriptor | undefined)?.value === 'function'
  if (!isMethod) throw misplaced(name)
  const method = descriptor as { value: Method }
  method.value = limitMethod(method.value, makeRule(String(name)))
  return method
}

function misplaced(where: unknown): TypeError {
  return invalid(TypeError, 'INVALID_ARGUMENT', '@limit', 'on a method of a class', where)
}
