import { readDuration } from '../limit/parse.ts'
import { integer, mustBe } from '../validate.ts'
import { countedAs } from './exemptions.ts'
import { checkPolicyName } from './headers.ts'

const METHOD = /^[A-Z][A-Z-]*$/

/** Steps of `blockFor`, in milliseconds. */
export function readSteps(steps: readonly unknown[]): readonly number[] {
  if (steps.length === 0) throw new RangeError('blockFor must have at least one step')
  return steps.map((step, i) => readDuration(step, `blockFor[${i}]`))
}

export function readMethods(methods: unknown): ReadonlySet<string> {
  const accepted = 'an array of methods such as ["POST"]'
  if (!Array.isArray(methods) || methods.length === 0) {
    throw new TypeError(mustBe('methods', accepted, methods))
  }
  return new Set(
    methods.map((method: unknown, i) => {
      const name = typeof method === 'string' ? method.toUpperCase() : ''
      if (!METHOD.test(name)) throw new TypeError(mustBe(`methods[${i}]`, 'a method', method))
      return countedAs(name)
    }),
  )
}

export function readFunction<F>(value: unknown, name: string): F | undefined {
  if (value === undefined || typeof value === 'function') return value as F | undefined
  throw new TypeError(mustBe(name, 'a function', value))
}

export function readBoolean(value: unknown, name: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw new TypeError(mustBe(name, 'true or false', value))
}

export function readText(value: unknown, max: number, name: string): string {
  const accepted = `a text of 1 to ${max} characters`
  if (typeof value !== 'string') throw new TypeError(mustBe(name, accepted, value))
  if (value === '' || value.length > max) throw new RangeError(mustBe(name, accepted, value))
  return value
}

export function oneOf<T extends string>(value: unknown, words: readonly T[], name: string): T {
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  throw new RangeError(mustBe(name, words.map((word) => `"${word}"`).join(' or '), value))
}

/** A number of units, or a function that says it. */
export function readCost<F>(value: unknown, name: string): number | F | undefined {
  if (typeof value !== 'number') return readFunction<F>(value, name)
  return integer(value, name, 0, Number.MAX_SAFE_INTEGER)
}

export function readPolicyNames(value: unknown, name: string): readonly string[] {
  if (value === undefined) return []
  const names = [value].flat()
  return names.map((one, i) => checkPolicyName(one, names.length > 1 ? `${name}[${i}]` : name))
}
