import { integer, invalid, printable, withCode } from '../validate.ts'

/** A number of units per window of time. */
export interface Limit {
  /** Units admitted per window: an integer from 1 to {@link MAX_COUNT}. */
  readonly count: number
  /** Length of the window in milliseconds: an integer from 1 to {@link MAX_WINDOW_MS}. */
  readonly windowMs: number
  /**
   * Units that the bucket holds: an integer from 1 to {@link MAX_COUNT}. For token-bucket and leaky-bucket.
   * Default: the count.
   */
  readonly burst?: number | undefined
}

/**
 * Limits as a user writes them: a limit string such as `'100/minute'` or `'10/second; 1000/hour'`,
 * a {@link Limit}, or an array of these.
 */
export type LimitInput = string | Limit | readonly (string | Limit)[]

/** Largest count of a limit. */
export const MAX_COUNT = 1_000_000_000
/** Longest window of a limit, in milliseconds: ten years of 365 days. */
export const MAX_WINDOW_MS = 315_360_000_000
/** Most limits that one limiter takes. */
export const MAX_LIMITS = 16

const PROPERTIES: readonly unknown[] = ['count', 'windowMs', 'burst']

/** The forms that limits may have, in the words of an error message. */
export const LIMITS_IN_WORDS =
  'a limit string such as "100/minute", a { count, windowMs } object or an array of these'

/**
 * Checks a {@link Limit} object and copies it, frozen. Each of its properties is read once, so an object
 * that answers differently the second time (a getter, a proxy) gains nothing.
 *
 * Only own properties count: a polluted `Object.prototype` cannot set a limit.
 *
 * @param value anything but a string or an array
 * @param name the argument, for the messages
 * @throws TypeError if it is no object, holds an unknown property or a property that is no number
 * @throws RangeError if a number is not an integer within its range
 */
export function checkLimit(value: unknown, name: string): Limit {
  if (typeof value !== 'object' || value === null) {
    throw invalid(TypeError, 'INVALID_LIMIT', name, LIMITS_IN_WORDS, value)
  }
  const keys = Reflect.ownKeys(value)
  const unknown = keys.find((key) => !PROPERTIES.includes(key))
  if (unknown !== undefined) {
    const message = `${name} has the unknown property ${printable(unknown)}: only count, windowMs and burst are accepted`
    throw withCode(new TypeError(message), 'INVALID_LIMIT')
  }
  const read = (key: keyof Limit): unknown =>
    keys.includes(key) ? Reflect.get(value, key) : undefined
  const check = (key: keyof Limit, found: unknown, max: number): number =>
    integer(found, `${name}.${key}`, 1, max, 'INVALID_LIMIT')
  const count = check('count', read('count'), MAX_COUNT)
  const windowMs = check('windowMs', read('windowMs'), MAX_WINDOW_MS)
  const burst = read('burst')
  if (burst === undefined) return Object.freeze({ count, windowMs })
  return Object.freeze({ count, windowMs, burst: check('burst', burst, MAX_COUNT) })
}

/** The burst that a limit was given. Only an own property counts, as everywhere. */
export function ownBurst(limit: Limit): number | undefined {
  return Object.hasOwn(limit, 'burst') ? limit.burst : undefined
}

/** Units that a limit's bucket holds. */
export function burstOf(limit: Limit): number {
  return ownBurst(limit) ?? limit.count
}

/** Limits as a text: different limits have different texts, and so different counters. */
export function figuresOf(limits: readonly Limit[]): string {
  const figures = limits.map((limit) => {
    const { count, windowMs } = limit
    const burst = burstOf(limit)
    return `${count}/${windowMs}ms${burst === count ? '' : ` burst ${burst}`}`
  })
  return figures.join(';')
}

// Literal figures and not products: the declaration of UnitName is made from them.
const UNIT_MS = {
  ms: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1_000,
  sec: 1_000,
  secs: 1_000,
  second: 1_000,
  seconds: 1_000,
  m: 60_000,
  min: 60_000,
  mins: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hrs: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
  w: 604_800_000,
  week: 604_800_000,
  weeks: 604_800_000,
  month: 2_592_000_000,
  months: 2_592_000_000,
  year: 31_536_000_000,
  years: 31_536_000_000,
} as const

/** Every spelling of a unit of time, in lower case. `m` is a minute, a month is 30 days, a year 365 days. */
export type UnitName = keyof typeof UNIT_MS

/** The units as an error message lists them, one spelling each. */
export const UNITS_IN_WORDS = 'ms, s, min, h, d, w, month or year'

// A Map, because an object would also answer to "constructor" and "__proto__".
const msByName: ReadonlyMap<string, number> = new Map(Object.entries(UNIT_MS))

/**
 * Length of a unit in milliseconds, or `undefined` for a word that is no unit.
 *
 * @param word ASCII letters, in any case
 */
export function unitMs(word: string): number | undefined {
  return msByName.get(word.toLowerCase())
}
