import { InvalidLimit } from '../errors.ts'
import { invalid, withCode } from '../validate.ts'
import {
  type CheckedLimits,
  checkLimit,
  LIMITS_IN_WORDS,
  type Limit,
  type LimitInput,
  MAX_COUNT,
  MAX_LIMITS,
  MAX_WINDOW_MS,
  UNITS_IN_WORDS,
  unitMs,
} from './limit.ts'

/** Longest limit string, in UTF-16 code units; a longer one is refused unread. */
const MAX_TEXT_LENGTH = 1_024

const EXAMPLE = '(for example "100/minute")'
const COUNT = `a count from 1 to ${MAX_COUNT} in plain digits, without leading zeros ${EXAMPLE}`
const PER = `"/" or " per " and a unit ${EXAMPLE}`
const PER_AFTER_FIGURE = `${PER}; a count is whole and in plain digits: 1000, not 1,000, 1_000 or 1e3`
const BLANK = `a space after "per" ${EXAMPLE}`
const END = '";", "," or "|" and another limit, or the end'

/** Longest duration text, in UTF-16 code units. */
const MAX_DURATION_LENGTH = 64
const MULTIPLE = 'a whole number of units from 1, without leading zeros'
const UNIT = `a unit: ${UNITS_IN_WORDS}`
const WINDOW = 'a window of at most 10 years of 365 days'
const DURATION = 'a duration such as "5 minutes", or whole milliseconds from 1 to 10 years'

/**
 * Reads limits as a user writes them.
 *
 * ```text
 * limits = limit *( ( ";" / "," / "|" ) limit )
 * limit  = count ( "/" / blank "per" blank ) [ number ] unit
 * ```
 *
 * `100/minute`, `100 per minute`, `10/15 minutes`, `5 per 300s`, `1000/hour; 20/second`. Letters in any case;
 * spaces and tabs around every part. Units: ms, s, m, h, d, w, their usual longer spellings, month (30 days),
 * year (365 days). Order is kept, and so are duplicates.
 *
 * Nothing falls back and nothing is rounded. Time is linear in the text's length, which is at most 1024.
 *
 * @param limits a limit string, a {@link Limit}, or an array of these; 1 to 16 limits in all. A string
 * literal is also checked by the compiler.
 * @returns frozen limits in an array that is frozen too
 * @throws InvalidLimit (a RangeError) for a text that the grammar does not accept
 * @throws TypeError for anything that is neither text, object nor array of these
 * @throws RangeError for a number out of range, no limit at all, or more than 16
 */
export function parseLimits<const L extends LimitInput>(
  limits: CheckedLimits<L>,
): readonly Limit[] {
  return readLimits(limits)
}

/**
 * {@link parseLimits} for a value of unknown type, such as one from a configuration file.
 *
 * @param limits what should be limits
 * @param name the argument, for the messages. Default: `limits`
 */
export function readLimits(limits: unknown, name = 'limits'): readonly Limit[] {
  if (typeof limits === 'string') return Object.freeze(readText(limits, MAX_LIMITS, 'limit'))
  if (Array.isArray(limits)) return Object.freeze(readArray(limits, name))
  return Object.freeze([checkLimit(limits, name)])
}

function readArray(list: readonly unknown[], name: string): Limit[] {
  const found: Limit[] = []
  // Each turn adds a limit or throws, so this ends early however long a hostile array says it is.
  const { length } = list
  for (let i = 0; i < length; i++) {
    const room = MAX_LIMITS - found.length
    if (room === 0) throw wrongNumber(`${name} must hold at most ${MAX_LIMITS} limits, got more`)
    const element = list[i]
    const at = `${name}[${i}]`
    if (typeof element === 'string') found.push(...readText(element, room, at))
    else found.push(checkLimit(element, at))
  }
  if (found.length === 0) {
    throw wrongNumber(`${name} must be ${LIMITS_IN_WORDS}, got an empty array`)
  }
  return found
}

function wrongNumber(message: string): Error {
  return withCode(new RangeError(message), 'INVALID_LIMIT')
}

function readText(text: string, room: number, name: string): Limit[] {
  const scanner = new Scanner(text, name, MAX_TEXT_LENGTH)
  const found: Limit[] = []
  do {
    scanner.take(BLANKS)
    if (found.length === room) scanner.fail(`at most ${MAX_LIMITS} limits`)
    found.push(readLimit(scanner))
    scanner.take(BLANKS)
  } while (scanner.take(SEPARATOR) !== '')
  if (scanner.next !== '') scanner.fail(END)
  return found
}

function readLimit(scanner: Scanner): Limit {
  const count = readNumber(scanner, MAX_COUNT, COUNT)
  skipPer(scanner)
  const windowMs = readWindow(scanner)
  return Object.freeze({ count, windowMs })
}

function skipPer(scanner: Scanner): void {
  const blanks = scanner.take(BLANKS)
  if (scanner.take(SLASH) !== '') return
  const start = scanner.position
  const expected = /[,._eE]/.test(scanner.next) ? PER_AFTER_FIGURE : PER
  if (blanks === '' || scanner.take(WORD).toLowerCase() !== 'per') scanner.fail(expected, start)
  if (scanner.take(BLANKS) === '') scanner.fail(BLANK)
}

/**
 * Reads a duration: the part of a limit string behind the slash (`'5 minutes'`, `'300s'`, `'minute'`), or
 * whole milliseconds.
 *
 * @param value what should be a duration
 * @param name the argument, for the messages
 * @returns milliseconds, from 1 to ten years
 */
export function readDuration(value: unknown, name: string): number {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 1 && value <= MAX_WINDOW_MS) return value
  } else if (typeof value === 'string') {
    const scanner = new Scanner(value, name, MAX_DURATION_LENGTH)
    const ms = readWindow(scanner, '15 minutes', '5 minutes')
    scanner.take(BLANKS)
    if (scanner.next !== '') scanner.fail('the end')
    return ms
  }
  throw invalid('number', 'INVALID_OPTION', name, DURATION, value)
}

/**
 * Reads a window's length: a number of units, or one unit. Blanks before it are skipped.
 *
 * @param many what messages show for a number of units. Default: a limit
 * @param one what they show for one unit. Default: a limit
 */
function readWindow(scanner: Scanner, many = '10/15 minutes', one = '100/minute'): number {
  scanner.take(BLANKS)
  const start = scanner.position
  const hasMultiple = scanner.next >= '0' && scanner.next <= '9'
  const multiple = hasMultiple ? readNumber(scanner, MAX_WINDOW_MS, like(MULTIPLE, many)) : 1
  scanner.take(BLANKS)
  const unitStart = scanner.position
  const ms = unitMs(scanner.take(WORD)) ?? scanner.fail(like(UNIT, one), unitStart)
  if (multiple * ms > MAX_WINDOW_MS) scanner.fail(WINDOW, start)
  return multiple * ms
}

function like(expected: string, example: string): string {
  return `${expected} (for example "${example}")`
}

/**
 * Reads a number in plain digits, from 1 to `max`. One too long for a double turns into a larger one, or
 * Infinity: both are above every `max`.
 */
function readNumber(scanner: Scanner, max: number, expected: string): number {
  const start = scanner.position
  const digits = scanner.take(DIGITS)
  const value = Number(digits)
  if (digits === '' || digits.startsWith('0') || value > max) scanner.fail(expected, start)
  return value
}

// Sticky, and of ASCII only. Each matches everywhere, if need be nothing.
const BLANKS = /[ \t]*/y
const DIGITS = /[0-9]*/y
const WORD = /[A-Za-z]*/y
const SLASH = /\/?/y
const SEPARATOR = /[;,|]?/y

/**
 * A text and how far it has been read. Every method moves forward only, so whatever is built from them
 * takes time linear in the text's length.
 */
class Scanner {
  readonly #text: string
  readonly #name: string
  #position = 0

  /**
   * @param text what to read
   * @param name what the text was given as, for the messages
   * @param maxLength in UTF-16 code units; a longer text is refused unread
   */
  constructor(text: string, name: string, maxLength: number) {
    this.#text = text
    this.#name = name
    if (text.length > maxLength) this.fail(`at most ${maxLength} characters`, maxLength)
  }

  /** 0-based index of the next character; the text's length at the end. */
  get position(): number {
    return this.#position
  }

  /** The next character, or `''` at the end. */
  get next(): string {
    return this.#text.charAt(this.#position)
  }

  /** Takes what a sticky pattern matches here. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.#position
    const [found = ''] = pattern.exec(this.#text) ?? []
    this.#position += found.length
    return found
  }

  /**
   * Refuses the text.
   *
   * @param expected what is accepted, in words
   * @param position where. Default: here
   */
  fail(expected: string, position: number = this.#position): never {
    throw new InvalidLimit(this.#text, position, expected, this.#name)
  }
}
