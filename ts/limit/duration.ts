import { InvalidLimit } from '../errors.ts'
import { mustBe } from '../validate.ts'
import { MAX_WINDOW_MS } from './limit.ts'
import { Scanner } from './scanner.ts'
import { UNITS_IN_WORDS, unitMs } from './units.ts'

/** Longest duration text, in UTF-16 code units. */
const MAX_TEXT_LENGTH = 64
const MULTIPLE = 'a whole number of units from 1, without leading zeros'
const UNIT = `a unit: ${UNITS_IN_WORDS}`
/** What a window looks like where it is written: examples for the messages. */
interface Examples {
  readonly multiple: string
  readonly unit: string
}
const OF_LIMITS: Examples = { multiple: '10/15 minutes', unit: '100/minute' }
const OF_DURATIONS: Examples = { multiple: '15 minutes', unit: '5 minutes' }
const WINDOW = 'a window of at most 10 years of 365 days'
const DURATION = 'a duration such as "5 minutes", or whole milliseconds from 1 to 10 years'

/**
 * Reads a duration: the part of a limit string behind the slash (`'5 minutes'`, `'300s'`, `'minute'`), or
 * whole milliseconds.
 *
 * @param value what should be a duration
 * @param name the argument, for the messages
 * @returns milliseconds, from 1 to ten years
 */
export function readDuration(value: unknown, name: string): number {
  if (typeof value === 'string') return readText(value, name)
  if (typeof value !== 'number') throw new TypeError(mustBe(name, DURATION, value))
  if (!Number.isSafeInteger(value) || value < 1 || value > MAX_WINDOW_MS) {
    throw new RangeError(mustBe(name, DURATION, value))
  }
  return value
}

function readText(text: string, name: string): number {
  if (text.length > MAX_TEXT_LENGTH) {
    throw new InvalidLimit(text, MAX_TEXT_LENGTH, `at most ${MAX_TEXT_LENGTH} characters`, name)
  }
  const scanner = new Scanner(text, name)
  const ms = readWindow(scanner, OF_DURATIONS)
  scanner.skipBlanks()
  if (scanner.next !== '') scanner.fail('the end')
  return ms
}

/**
 * Reads a window's length: a number of units, or one unit. Blanks before it are skipped.
 *
 * @param examples what messages show. Default: limits
 */
export function readWindow(
  scanner: Scanner,
  { multiple: many, unit }: Examples = OF_LIMITS,
): number {
  scanner.skipBlanks()
  const start = scanner.position
  const hasMultiple = scanner.next >= '0' && scanner.next <= '9'
  const multiple = hasMultiple ? readNumber(scanner, MAX_WINDOW_MS, like(MULTIPLE, many)) : 1
  scanner.skipBlanks()
  const windowMs = multiple * readUnit(scanner, like(UNIT, unit))
  if (windowMs > MAX_WINDOW_MS) scanner.fail(WINDOW, start)
  return windowMs
}

function readUnit(scanner: Scanner, expected: string): number {
  const start = scanner.position
  return unitMs(scanner.takeWord()) ?? scanner.fail(expected, start)
}

function like(expected: string, example: string): string {
  return `${expected} (for example "${example}")`
}

/**
 * Reads a number in plain digits, from 1 to `max`. One too long for a double turns into a larger one, or
 * Infinity: both are above every `max`.
 */
export function readNumber(scanner: Scanner, max: number, expected: string): number {
  const start = scanner.position
  const digits = scanner.takeDigits()
  const value = Number(digits)
  if (digits === '' || digits.startsWith('0') || value > max) scanner.fail(expected, start)
  return value
}
