import type { ErrorCode } from './errors.ts'
import { foreignOption } from './foreign-options.ts'

/*
 * How every value that comes from outside is checked, and how an error names it: `X must be Y, got Z`, with a
 * `code`. docs/reference/errors.md explains each code.
 */

/** Longest rendering of a text or value from outside that one of our errors carries. */
export const MAX_PRINTED = 64
const ELLIPSIS = '...'

/** Codes of the errors for what a caller or an operator passes: an option, an argument of a call, a limit. */
export type InputErrorCode = 'INVALID_ARGUMENT' | 'INVALID_OPTION' | 'INVALID_LIMIT'

/** The error, with this `code`. */
export function withCode<E extends Error, const Code extends ErrorCode>(
  error: E,
  code: Code,
): E & { readonly code: Code } {
  return Object.assign(error, { code })
}

/**
 * The error for an argument or option that is not accepted: `burst must be an integer from 1, got "5"`.
 *
 * A `TypeError` for a value of the wrong type, else a `RangeError`; both carry the `code`.
 *
 * @param kind the class of the error, or the type that the value must have
 * @param name the argument or option, as the caller wrote it
 * @param accepted what is accepted, in words
 * @param value what was given; printed by {@link printable}, so hostile text is escaped and cut
 */
export function invalid(
  kind: typeof TypeError | typeof RangeError | 'string' | 'number',
  code: InputErrorCode,
  name: string,
  accepted: string,
  value: unknown,
): TypeError | RangeError {
  const ofType = typeof value === kind ? RangeError : TypeError
  const Kind = typeof kind === 'string' ? ofType : kind
  return withCode(new Kind(mustBe(name, accepted, value)), code)
}

/** The message of {@link invalid}. */
export function mustBe(name: string, accepted: string, value: unknown): string {
  return `${name} must be ${accepted}, got ${printable(value)}`
}

/**
 * Checks an integer.
 *
 * @throws TypeError unless it is a number, RangeError unless it is an integer from `min` to `max`
 */
export function integer(
  value: unknown,
  name: string,
  min: number,
  max: number,
  code: InputErrorCode = 'INVALID_OPTION',
): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value
  }
  throw invalid('number', code, name, `an integer from ${min} to ${max}`, value)
}

/**
 * Checks a text, such as a name.
 *
 * @param min fewest UTF-16 code units
 * @param max most UTF-16 code units
 * @throws TypeError unless it is a string, RangeError for another length or a lone surrogate
 */
export function text(
  value: unknown,
  name: string,
  min: number,
  max: number,
  code: InputErrorCode = 'INVALID_OPTION',
): string {
  const isText = typeof value === 'string'
  if (isText && value.length >= min && value.length <= max && value.isWellFormed()) return value
  throw invalid('string', code, name, `a string of ${min} to ${max} characters`, value)
}

/** @throws TypeError unless it is true or false */
export function boolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(TypeError, 'INVALID_OPTION', name, 'true or false', value)
}

/** @throws RangeError unless it is one of the words */
export function oneOf<const T extends string>(
  value: unknown,
  name: string,
  words: readonly T[],
): T {
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  const quoted = words.map((word) => `"${word}"`)
  const last = quoted.pop()
  throw invalid(RangeError, 'INVALID_OPTION', name, `${quoted.join(', ')} or ${last}`, value)
}

/** Checks the value of an option, `undefined` where it is not given, and returns what it stands for. */
export type Reader<T> = (value: unknown, name: string) => T

/** Reads an option that has no default. */
export function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, name) => (value === undefined ? undefined : read(value, name))
}

/** Reads an option that is a function, if it is given. */
export function optionalFunction<T>(value: unknown, name: string): T | undefined {
  if (value === undefined || typeof value === 'function') return value as T | undefined
  throw invalid(TypeError, 'INVALID_OPTION', name, 'a function', value)
}

/** Each option with its reader. */
export type Readers<T> = { readonly [Name in keyof T]: Reader<T[Name]> }

/** Checks that all options have a reader, and reads each. */
export function readOptions<T extends object>(options: object, readers: Readers<T>): T {
  return readEach(ownOptions(options, Object.keys(readers)), readers)
}

/** Reads each option that has a reader; what is inherited must not be among them. */
export function readEach<T extends object>(options: object, readers: Readers<T>): T {
  const given = options as Readonly<Record<string, unknown>>
  const read = Object.entries<Reader<unknown>>(readers).map(
    ([name, reader]) => [name, reader(given[name], name)] as const,
  )
  return Object.fromEntries(read) as T
}

/**
 * The options that are `options`' own, each read once. What is inherited does not count: a polluted
 * `Object.prototype` cannot set a limit.
 *
 * @throws TypeError unless `options` is an object whose own properties are all among `known`
 */
export function ownOptions<T extends object>(options: T, known: readonly string[]): T {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(TypeError, 'INVALID_OPTION', 'options', 'an object', options)
  }
  for (const key of Reflect.ownKeys(options)) {
    if (typeof key === 'string' && known.includes(key)) continue
    const message = `unknown option ${printable(key)}${hint(key, known)}`
    throw withCode(new TypeError(message), 'INVALID_OPTION')
  }
  return Object.assign(Object.create(null) as T, options)
}

/** A list of more names than this is not read: then only the likely one is suggested. */
const SHORT_LIST = 8

function hint(key: string | symbol, known: readonly string[]): string {
  if (known.length <= SHORT_LIST) return `; known are ${known.join(', ')}`
  if (typeof key === 'symbol') return ''
  const foreign = foreignOption(key)
  if (foreign !== undefined) return `: ${foreign}`
  const closest = closestTo(key, known)
  if (closest === undefined) return '; the documentation lists those there are'
  return `; did you mean ${closest}?`
}

/** The known name that a misspelt one is closest to, if one is close. */
export function closestTo(name: string, known: readonly string[]): string | undefined {
  // No option is close to a long text, and comparing takes time.
  if (name.length > 40) return undefined
  const folded = fold(name)
  const reach = Math.max(1, folded.length / 3)
  const rated = known.map((one) => ({ one, distance: editDistance(folded, fold(one)) }))
  const close = rated.filter(({ distance }) => distance <= reach)
  return close.sort((a, b) => a.distance - b.distance)[0]?.one
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** How many letters are to be added, left out or changed to get from one to the other. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1]
    for (const [j, otherLetter] of [...other].entries()) {
      const changed = (row[j] ?? 0) + (letter === otherLetter ? 0 : 1)
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[other.length] ?? 0
}

/**
 * Any value as text for an error message: at most 64 characters, printable ASCII only, in bounded time.
 *
 * Never throws and never runs the value's own code: no `toString`, `toJSON`, getter or proxy trap.
 * So an object is only called an object.
 */
export function printable(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `"${shorten(value, MAX_PRINTED - 2)}"`
    case 'symbol':
      return shorten(String(value), MAX_PRINTED)
    case 'bigint':
      // Printing a bigint of a million digits takes quadratic time; comparing it does not.
      return -LARGE < value && value < LARGE ? `${value}n` : '[bigint of more than 30 digits]'
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'function':
      return '[function]'
    case 'object':
      return value === null ? 'null' : printableObject(value)
    default:
      return String(value)
  }
}

const LARGE = 10n ** 30n

function printableObject(value: object): string {
  try {
    return Array.isArray(value) ? '[array]' : '[object]'
  } catch {
    // isArray throws for one thing only: a revoked proxy.
    return '[object]'
  }
}

/**
 * The escaped text if it fits in `room` characters, else as much of its start as fits before an ellipsis.
 * Copied and not sliced: a slice would keep a hostile megabyte alive for as long as the error lives.
 */
export function shorten(text: string, room: number): string {
  let whole = ''
  let cut = ''
  for (let i = 0; i < text.length; i++) {
    whole += escapeUnit(text.charCodeAt(i))
    if (whole.length > room) return cut + ELLIPSIS
    if (whole.length <= room - ELLIPSIS.length) cut = whole
  }
  return whole
}

// Only printable ASCII passes: line breaks forge log lines, terminals obey escape sequences, and look-alikes
// (full-width digits, the Kelvin sign, no-break and zero-width spaces) are a reason why a limit is refused.
function escapeUnit(unit: number): string {
  const char = String.fromCharCode(unit)
  if (char === '"' || char === '\\') return `\\${char}`
  if (unit >= 0x20 && unit <= 0x7e) return char
  return `\\u${unit.toString(16).padStart(4, '0')}`
}
