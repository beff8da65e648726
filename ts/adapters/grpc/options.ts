import type { GateOptions } from '../../calls/gate-options.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import type { ConcurrentInput } from '../../permits/open.ts'
import * as validate from '../../validate.ts'
import type { GrpcCall } from './call.ts'

/** What becomes of a message over its limit: the call ends, or is read on in its time. */
export type MessageOverflow = 'end' | 'pause'

/** What is limited, for all methods or for one. */
export interface GrpcLimits {
  /** Calls of a client. */
  readonly limits?: LimitInput | undefined
  /** Calls of a client that are open at a time. Default: no limit. */
  readonly concurrent?: ConcurrentInput | undefined
  /** Messages that a client streams in, over all its calls together. Default: no limit. */
  readonly messages?: LimitInput | undefined
  /**
   * What becomes of a call with a message over the limit `messages`: `'end'`, it ends with RESOURCE_EXHAUSTED; `'pause'`,
   * the message waits for its turn and no further one is read, so none is lost. Default: `'end'`.
   */
  readonly overflow?: MessageOverflow | undefined
}

/** Options of {@link interceptor}. */
export interface GrpcOptions extends Omit<GateOptions<GrpcCall>, keyof GrpcLimits>, GrpcLimits {
  /**
   * Limits of methods, in place of those above: by `/pkg.Service/Method`, or by `/pkg.Service/*` for all of a service that
   * are not named. What a method does not say, it has in common with the others.
   */
  readonly methods?: Readonly<Record<string, LimitInput | GrpcLimits>> | undefined
  /** Methods that are not limited, by the same names, or a function of the call. Default: none. */
  readonly skip?:
    | readonly string[]
    | ((call: GrpcCall) => boolean | PromiseLike<boolean>)
    | undefined
}

/** Options of the adapter's own. */
export const OWN: readonly string[] = ['messages', 'overflow', 'methods', 'skip']

/** {@link GrpcLimits} that have been read, as far as they need no counters. */
export interface ReadLimits extends Omit<GrpcLimits, 'overflow'> {
  readonly overflow: MessageOverflow | undefined
}

/** @param name of the option, for the messages; `''` for the options themselves */
export function readLimitsOf(given: object, name: string): ReadLimits {
  const { limits, concurrent, messages, overflow } = given as GrpcLimits
  const nameOf = (option: string): string => (name === '' ? option : `${name}.${option}`)
  for (const option of ['limits', 'concurrent', 'messages'] as const) {
    // A setting that is missing: the server would have no limit, and nothing would say so.
    if (!Object.hasOwn(given, option) || (given as GrpcLimits)[option] !== undefined) continue
    const accepted = 'given, or left out'
    throw validate.invalid(TypeError, 'INVALID_OPTION', nameOf(option), accepted, undefined)
  }
  // Its counters are opened as those of limits, and would be called so.
  if (messages !== undefined) readLimits(messages, nameOf('messages'))
  const read = validate.optional((value, name) => validate.oneOf(value, name, ['end', 'pause']))
  return { limits, concurrent, messages, overflow: read(overflow, nameOf('overflow')) }
}

const METHOD = /^\/[\w.]{1,256}\/(?:\*|\w{1,256})$/

/** @throws TypeError or RangeError unless it is the name of a method, or of a service and `*` */
export function readMethodName(value: unknown, name: string): string {
  if (typeof value === 'string' && METHOD.test(value)) return value
  const accepted = 'a method as "/pkg.Service/Method", or "/pkg.Service/*" for all of a service'
  throw validate.invalid('string', 'INVALID_OPTION', name, accepted, value)
}

/** Reads option `methods`. */
export function readMethods(value: unknown, name: string): ReadonlyMap<string, ReadLimits> {
  if (value === undefined) return new Map()
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const accepted = 'an object of limits by method'
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
  }
  const read = Object.entries(value).map(([method, given]) => {
    readMethodName(method, `a name in ${name}`)
    return [method, readMethod(given, `${name}["${method}"]`)] as const
  })
  return new Map(read)
}

/** @throws TypeError for an `overflow` without `messages`: it would do nothing */
export function checkOverflow(common: ReadLimits, methods: ReadonlyMap<string, ReadLimits>): void {
  const limited = [common, ...methods.values()].some(({ messages }) => messages !== undefined)
  if (!limited) refuseOverflow(common, 'overflow')
  for (const [name, own] of methods) {
    if (common.messages === undefined && own.messages === undefined) {
      refuseOverflow(own, `methods["${name}"].overflow`)
    }
  }
}

function refuseOverflow({ overflow }: ReadLimits, name: string): void {
  if (overflow === undefined) return
  const accepted = 'given together with messages, or left out'
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, overflow)
}

function readMethod(given: unknown, name: string): ReadLimits {
  const isObject = typeof given === 'object' && given !== null
  // An object with a count is a limit.
  if (isObject && !Array.isArray(given) && !Object.hasOwn(given, 'count')) {
    const known = ['limits', 'concurrent', 'messages', 'overflow']
    const read = readLimitsOf(validate.ownOptions(given, known), name)
    if (Object.values(read).some((one) => one !== undefined)) return read
  } else if (isObject || typeof given === 'string') {
    return { limits: given as LimitInput, overflow: undefined }
  }
  const accepted = 'a limit, an array of them, or { limits, concurrent, messages, overflow }'
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, given)
}

/** Names of methods and services. */
export class MethodNames<T> {
  readonly #methods: ReadonlyMap<string, T>

  constructor(methods: ReadonlyMap<string, T>) {
    this.#methods = methods
  }

  /** What is said about the method itself, else about its service. */
  get(path: string): T | undefined {
    if (this.#methods.size === 0) return undefined
    const own = this.#methods.get(path)
    if (own !== undefined) return own
    return this.#methods.get(`${path.slice(0, path.lastIndexOf('/'))}/*`)
  }
}

/** Reads option `skip`: whether a call is not counted, asked for each one. */
export function readSkip(
  value: unknown,
  name: string,
): ((call: GrpcCall) => boolean | PromiseLike<boolean>) | undefined {
  if (value === undefined || typeof value === 'function') {
    return value as ReturnType<typeof readSkip>
  }
  if (!Array.isArray(value)) {
    const accepted = 'a list of methods or a function'
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
  }
  const methods = value.map((one, i) => readMethodName(one, `${name}[${i}]`))
  const names = new MethodNames(new Map(methods.map((method) => [method, true])))
  return ({ method }) => names.get(method) === true
}
