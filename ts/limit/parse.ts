import { InvalidLimit } from '../errors.ts'
import { readNumber, readWindow } from './duration.ts'
import {
  checkLimit,
  LIMITS_IN_WORDS,
  type Limit,
  type LimitInput,
  MAX_COUNT,
  MAX_LIMITS,
} from './limit.ts'
import type { CheckedLimits } from './literal.ts'
import { Scanner } from './scanner.ts'

/** Longest limit string, in UTF-16 code units; a longer one is refused unread. */
export const MAX_TEXT_LENGTH = 1_024

const EXAMPLE = '(for example "100/minute")'
const COUNT = `a count from 1 to ${MAX_COUNT} in plain digits, without leading zeros ${EXAMPLE}`
const PER = `"/" or " per " and a unit ${EXAMPLE}`
const PER_AFTER_FIGURE = `${PER}; a count is whole and in plain digits: 1000, not 1,000, 1_000 or 1e3`
const BLANK = `a space after "per" ${EXAMPLE}`
const END = '";", "," or "|" and another limit, or the end'

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
    if (room === 0) throw new RangeError(`${name} must hold at most ${MAX_LIMITS} limits, not more`)
    found.push(...readElement(list[i], room, `${name}[${i}]`))
  }
  if (found.length === 0) {
    throw new RangeError(`${name} must be ${LIMITS_IN_WORDS}, not an empty array`)
  }
  return found
}

function readElement(element: unknown, room: number, name: string): readonly Limit[] {
  return typeof element === 'string' ? readText(element, room, name) : [checkLimit(element, name)]
}

function readText(text: string, room: number, name: string): Limit[] {
  if (text.length > MAX_TEXT_LENGTH) {
    throw new InvalidLimit(text, MAX_TEXT_LENGTH, `at most ${MAX_TEXT_LENGTH} characters`, name)
  }
  const scanner = new Scanner(text, name)
  const found: Limit[] = []
  do {
    scanner.skipBlanks()
    if (found.length === room) scanner.fail(`at most ${MAX_LIMITS} limits`)
    found.push(readLimit(scanner))
    scanner.skipBlanks()
  } while (scanner.skip(';,|'))
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
  const spaced = scanner.skipBlanks()
  if (scanner.skip('/')) return
  const start = scanner.position
  const triedFigure = ',._eE'.includes(scanner.next) && scanner.next !== ''
  if (!spaced || scanner.takeWord().toLowerCase() !== 'per') {
    scanner.fail(triedFigure ? PER_AFTER_FIGURE : PER, start)
  }
  if (scanner.next !== ' ' && scanner.next !== '\t') scanner.fail(BLANK)
}
