import { types } from 'node:util'
import type { Decision } from '../decision.ts'
import { RateLimitExceeded } from '../errors.ts'
import { charge, isPromise } from './charge.ts'
import type { AnyArgs, MethodOf } from './options.ts'
import type { Rule } from './rule.ts'

/** Any method, as whoever wraps it sees it. */
export type Method = MethodOf<unknown, AnyArgs, unknown>

/** How callers of a method learn of an error: thrown, by a rejected promise, or by the first `next()`. */
type Kind = 'sync' | 'async' | 'async-generator'

/** A method with the rules of all decorators on it, in written order. */
interface Limited {
  readonly method: Method
  readonly rules: readonly Rule[]
  kind: Kind
}

/** What each wrapper stands for. Weak: a class that nobody uses any more takes its limiters with it. */
const LIMITED = new WeakMap<object, Limited>()

/** The rules on a method, in the order they are written and checked in; none if it is not limited. */
export function rulesOf(method: object): readonly Rule[] {
  return LIMITED.get(method)?.rules ?? []
}

/**
 * Wraps a method. Of one that is wrapped already the rules are joined, and the method itself is wrapped
 * anew: so one place decides for all of them, and can give back.
 */
export function limitMethod(inner: Method, rule: Rule): Method {
  const known = LIMITED.get(inner) ?? { method: inner, rules: [], kind: kindOf(inner) }
  const limited = { ...known, rules: [rule, ...known.rules] }
  const wrapper = newWrapper(limited)
  resemble(wrapper, inner)
  LIMITED.set(wrapper, limited)
  return wrapper
}

/** A method and no function: like the one it stands for, it is no constructor. */
function newWrapper(limited: Limited): Method {
  const { wrapper } = {
    wrapper(this: unknown, ...args: AnyArgs): unknown {
      return call(limited, this, args)
    },
  }
  return wrapper
}

/**
 * Name and length are the same. Whatever else other decorators hung on the method, or look for there, is
 * found through the prototype; reflect-metadata, and so Nest, looks there too.
 */
function resemble(wrapper: Method, inner: Method): void {
  Object.setPrototypeOf(wrapper, inner)
  Object.defineProperty(wrapper, 'name', { value: inner.name, configurable: true })
  Object.defineProperty(wrapper, 'length', { value: inner.length, configurable: true })
}

/** What the method itself throws or answers is none of our business: it runs outside of any `try`. */
function call(limited: Limited, self: unknown, args: AnyArgs): unknown {
  const run = (): unknown => limited.method.apply(self, args)
  const pending =
    limited.kind === 'sync' ? admit(limited, self, args) : promise(limited, self, args)
  if (pending === undefined) return learn(limited, run())
  if (limited.kind === 'async-generator') return generateAfter(pending, run)
  limited.kind = 'async'
  return pending.then(run)
}

/** Charges the call: throws or rejects if it may not run. Undefined, or a promise if a limiter is remote. */
function admit(limited: Limited, self: unknown, args: AnyArgs): Promise<void> | undefined {
  // All keys and costs first, as one that is none must not leave others charged.
  const denial = charge(limited.rules.map((rule) => rule.bill(self, args)))
  return isPromise(denial) ? Promise.resolve(denial).then(refuse) : refuse(denial)
}

function refuse(denial: Decision | undefined): undefined {
  if (denial !== undefined) throw new RateLimitExceeded(denial)
}

/** {@link admit} that rejects and never throws. */
function promise(limited: Limited, self: unknown, args: AnyArgs): Promise<void> | undefined {
  try {
    return admit(limited, self, args)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** A plain method that has answered with a promise once has callers who expect a rejection. */
function learn(limited: Limited, result: unknown): unknown {
  if (limited.kind === 'sync' && types.isPromise(result)) limited.kind = 'async'
  return result
}

/** A generator that nobody asks for a value has nobody to tell of a denial: it must not end the process. */
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
