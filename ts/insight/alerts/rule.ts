import { createHash } from 'node:crypto'
import { readDuration } from '../../limit/parse.ts'
import * as validate from '../../validate.ts'
import { FIGURES, type FigureName, type FigureUnit } from './figure-names.ts'
import type { AlertRule, AlertSeverity } from './types.ts'

/*
 * Rules as a user writes them: a figure, a comparison and a number. Reading one moves forward only, so it takes time
 * linear in the text's length, which is bounded.
 */

/** Longest rule, in UTF-16 code units; a longer one is refused unread. */
const MAX_TEXT_LENGTH = 128
const MAX_NAME_LENGTH = 128
const MAX_MIN = 1_000_000_000
const [SECOND_MS, MINUTE_MS] = [1_000, 60_000]
const [MAX_SECONDS_MS, MAX_MS] = [10 * MINUTE_MS, 1_440 * MINUTE_MS]

const COMPARISONS = {
  '>=': (value: number, than: number) => value >= than,
  '<=': (value: number, than: number) => value <= than,
  '==': (value: number, than: number) => value === than,
  '>': (value: number, than: number) => value > than,
  '<': (value: number, than: number) => value < than,
} as const

/** A rule that was read. */
export interface Rule {
  readonly name: string
  readonly when: string
  readonly figure: FigureName
  readonly unit: FigureUnit
  readonly holdsFor: (value: number) => boolean
  readonly threshold: number
  readonly windowMs: number
  /** The steps of a series that the window is made of. */
  readonly step: 'second' | 'minute'
  readonly min: number
  readonly limit: string | undefined
  readonly severity: AlertSeverity
  /** What is the same for this rule in all processes. */
  readonly hash: string
}

type Condition = Pick<Rule, 'figure' | 'unit' | 'holdsFor' | 'threshold'>

/** Least numbers of requests, or of times, unless a rule says another. */
const DEFAULT_MIN: Readonly<Partial<Record<FigureUnit, number>>> = { share: 100, ms: 20 }

/** @throws TypeError or RangeError that names what is wrong, and where */
export function readRule(value: unknown, at: string): Rule {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const accepted = 'a rule such as { when: "denied.share > 0.2", for: "1 minute" }'
    throw validate.invalid(TypeError, 'INVALID_OPTION', at, accepted, value)
  }
  const known = ['name', 'when', 'for', 'min', 'limit', 'severity']
  const own = validate.ownOptions<Partial<AlertRule>>(value, known)
  const condition = readCondition(own.when, `${at}.when`)
  const when = (own.when as string).trim().replaceAll(/[ \t]+/g, ' ')
  const windowMs = readWindow(own.for ?? MINUTE_MS, `${at}.for`)
  const limit = readLimit(own.limit, `${at}.limit`, condition.figure)
  return {
    ...condition,
    when,
    name: own.name === undefined ? when : validate.text(own.name, `${at}.name`, 1, MAX_NAME_LENGTH),
    windowMs,
    step: windowMs > MAX_SECONDS_MS ? 'minute' : 'second',
    min: readMin(own.min, `${at}.min`, condition),
    limit,
    severity: validate.oneOf(own.severity ?? 'warning', `${at}.severity`, [
      'info',
      'warning',
      'critical',
    ]),
    hash: hashOf([own.name ?? '', when, windowMs, limit ?? '']),
  }
}

function hashOf(parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

function readWindow(value: unknown, name: string): number {
  const ms = readDuration(value, name)
  const step = ms > MAX_SECONDS_MS ? MINUTE_MS : SECOND_MS
  if (ms % step === 0 && ms <= MAX_MS) return ms
  const accepted = 'whole seconds up to 10 minutes, or whole minutes up to 24 hours'
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}

function readMin(value: unknown, name: string, { figure, unit }: Condition): number {
  if (value === undefined) return DEFAULT_MIN[unit] ?? 0
  const { from } = FIGURES[figure]
  if (from === 'points' || unit === 'ms') return validate.integer(value, name, 0, MAX_MIN)
  const accepted = `absent with ${figure}, which is not about requests`
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}

function readLimit(value: unknown, name: string, figure: FigureName): string | undefined {
  if (value === undefined) return undefined
  if (FIGURES[figure].isOfLimits) return validate.text(value, name, 1, MAX_NAME_LENGTH)
  const accepted = `absent with ${figure}, which no single limiter has`
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}

function readCondition(text: unknown, name: string): Condition {
  const example = 'a rule such as "denied.share > 0.2"'
  if (typeof text !== 'string') {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, example, text)
  }
  const fail = (expected: string, position: number): never => {
    const accepted = `${example}: expected ${expected} at position ${position}`
    throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, text)
  }
  if (text.length > MAX_TEXT_LENGTH) {
    return fail(`at most ${MAX_TEXT_LENGTH} characters`, MAX_TEXT_LENGTH)
  }
  const scanner = new Words(text)
  const [figureText, figureAt] = scanner.take(/[A-Za-z0-9._-]*/y)
  const figure = Object.hasOwn(FIGURES, figureText) ? (figureText as FigureName) : undefined
  if (figure === undefined) return fail(figureInWords(figureText), figureAt)
  const [comparison, comparisonAt] = scanner.take(/[<>=!]*/y)
  if (!Object.hasOwn(COMPARISONS, comparison)) return fail('>, >=, <, <= or ==', comparisonAt)
  const [digits, digitsAt] = scanner.take(/[0-9]{0,15}(?:\.[0-9]{1,15})?/y)
  if (!/^[0-9]/.test(digits)) return fail('a number such as 0.2', digitsAt)
  const [rest, restAt] = scanner.take(/[\s\S]?/y)
  if (rest !== '') return fail('the end (a rule is one comparison: write two rules)', restAt)
  const threshold = Number(digits)
  const { unit } = FIGURES[figure]
  if ((unit === 'share' || unit === 'state') && threshold > 1) {
    fail(unit === 'share' ? 'a share from 0 to 1' : '0 or 1', digitsAt)
  }
  const compare = COMPARISONS[comparison as keyof typeof COMPARISONS]
  return { figure, unit, threshold, holdsFor: (value) => compare(value, threshold) }
}

function figureInWords(text: string): string {
  const names = Object.keys(FIGURES)
  const closest = text === '' ? undefined : validate.closestTo(text, names)
  if (closest !== undefined) return `a figure (did you mean ${closest}?)`
  return `a figure (one of ${names.join(', ')})`
}

/** A text, and how far it has been read. */
class Words {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Skips blanks, and takes what a sticky pattern matches then: if need be nothing. */
  take(pattern: RegExp): readonly [found: string, position: number] {
    this.#skip(/[ \t]*/y)
    const at = this.#position
    return [this.#skip(pattern), at]
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#position
    const [found = ''] = pattern.exec(this.#text) ?? []
    this.#position += found.length
    return found
  }
}
