import type { Limiter } from '../limiter.ts'
import type { RateLimiterOptions } from '../options.ts'

/** What a decorator asks of a limiter: every tier has it. */
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
export interface LimiterOptions<This, Args extends AnyArgs, Limiter extends MethodLimiter>
  extends CallOptions<This, Args> {
  /**
   * The limiter to ask. Its keys are taken as they are, so methods that share it share the budget of a
   * key; without a key function, the key is the method's name.
   */
  readonly limiter: Limiter
}

/** The type of a {@link limit} applied: what it may stand on. */
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
