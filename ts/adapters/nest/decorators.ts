import type { AnyHttpOptions } from '../../http/options.ts'
import type { LimitsFunction } from '../../http/request-limits.ts'
import type { CheckedLimits, LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import { boolean, invalid } from '../../validate.ts'
import { RateThrottleGuard, RateThrottleInterceptor } from './guard.ts'
import { addMark, setSkip } from './marks.ts'
import type { LimitOptions, LimitOptionsWithLimits, NestRequest } from './options.ts'
import { common } from './peers.ts'

/** A decorator of a handler or of a class with handlers, of TypeScript's `experimentalDecorators`. */
export type HandlerDecorator = ClassDecorator & MethodDecorator

/**
 * Limits a handler, or all handlers of a class together, for each client.
 *
 * ```ts
 * @Controller()
 * @Limit('1000/hour')                                  // one budget for all of its handlers that have none of their own
 * class CatsController {
 *   @Get('search')
 *   @Limit('10/minute')                                // in place of the class's; beside the module's: both, or neither
 *   search() {}
 * }
 * ```
 *
 * @throws InvalidLimit, TypeError or RangeError when the class is defined, for limits that can't be read
 */
export function Limit<const L extends LimitInput>(
  limits: CheckedLimits<L> | LimitsFunction<NestRequest>,
  options?: LimitOptions,
): HandlerDecorator
/** The same with limits among the options. */
export function Limit<const L extends LimitInput>(
  options: LimitOptionsWithLimits<L>,
): HandlerDecorator
export function Limit(given: unknown, more?: unknown): HandlerDecorator {
  const { replace = false, ...options } = optionsOf(given, more)
  const isAlone = boolean(replace, 'replace')
  const { limits } = options as AnyHttpOptions
  if (limits !== undefined && typeof limits !== 'function') readLimits(limits)
  return decorate((target, place) => {
    addMark(target, { given: options as AnyHttpOptions, place, isAlone })
  })
}

/** Exempts a handler, or a class, from all limits. `@SkipLimit(false)` on a handler: it is limited, whatever its class says. */
export function SkipLimit(isSkipped = true): HandlerDecorator {
  boolean(isSkipped, 'SkipLimit')
  const skip = (target: object, _name?: unknown, descriptor?: PropertyDescriptor): void => {
    setSkip(subjectOf(target, descriptor), isSkipped)
  }
  return skip as HandlerDecorator
}

/**
 * Has the guard asked before a handler, or those of a class, by the module's limits alone: where it is not asked before
 * all of them.
 */
export function UseRateThrottle(): HandlerDecorator {
  return decorate(() => {})
}

/** Marks the target, and has Nest ask the guard about it. */
function decorate(mark: (target: object, place: string) => void): HandlerDecorator {
  const decorator = (target: object, name?: unknown, descriptor?: PropertyDescriptor): void => {
    const subject = subjectOf(target, descriptor)
    mark(subject, placeOf(target, name))
    const both = [
      common.UseGuards(RateThrottleGuard),
      common.UseInterceptors(RateThrottleInterceptor),
    ]
    for (const one of both) {
      if (descriptor === undefined) (one as ClassDecorator)(target as never)
      else (one as MethodDecorator)(target, name as string, descriptor)
    }
  }
  return decorator as HandlerDecorator
}

/** Nest's metadata lies on the class, or on the method. */
function subjectOf(target: object, descriptor: PropertyDescriptor | undefined): object {
  const subject: unknown = descriptor === undefined ? target : descriptor.value
  if (typeof subject === 'function') return subject
  throw invalid(TypeError, 'INVALID_ARGUMENT', '@Limit', 'on a method or a class', subject)
}

function placeOf(target: object, name: unknown): string {
  if (typeof target === 'function') return target.name
  return `${target.constructor.name}.${String(name)}`
}

function optionsOf(given: unknown, more: unknown): { readonly replace?: unknown } {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
  if (isObject && !Object.hasOwn(given, 'count')) {
    if (more === undefined) return given
    throw invalid(TypeError, 'INVALID_ARGUMENT', '@Limit', 'limits and options, or options', more)
  }
  if (more === undefined) return { limits: given } as object
  if (typeof more === 'object' && more !== null) return { ...more, limits: given } as object
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'options', 'an object', more)
}
