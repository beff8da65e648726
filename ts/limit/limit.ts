import { mustBe, printable } from '../validate.ts'

/** So many units per window of time. */
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

/** What stands where limits stand, in the words of an error message. */
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
    throw new TypeError(mustBe(name, LIMITS_IN_WORDS, value))
  }
  const keys = Reflect.ownKeys(value)
  const unknown = keys.find((key) => !PROPERTIES.includes(key))
  if (unknown !== undefined) {
    const accepted = 'only count, windowMs and burst are accepted'
    throw new TypeError(`${name} has the unknown property ${printable(unknown)}: ${accepted}`)
  }
  const read = (key: keyof Limit): unknown =>
    keys.includes(key) ? Reflect.get(value, key) : undefined
  const count = checkInteger(read('count'), MAX_COUNT, `${name}.count`)
  const windowMs = checkInteger(read('windowMs'), MAX_WINDOW_MS, `${name}.windowMs`)
  const burst = read('burst')
  if (burst === undefined) return Object.freeze({ count, windowMs })
  return Object.freeze({ count, windowMs, burst: checkInteger(burst, MAX_COUNT, `${name}.burst`) })
}

/** The burst that a limit was given. Only an own property counts, as everywhere. */
export function ownBurst(limit: Limit): number | undefined {
  return Object.hasOwn(limit, 'burst') ? limit.burst : undefined
}

/** Units that a limit's bucket holds. */
export function burstOf(limit: Limit): number {
  return ownBurst(limit) ?? limit.count
}

/** Limits as a text, one for one set of them: what tells their counters apart. */
export function figuresOf(limits: readonly Limit[]): string {
  const figures = limits.map((limit) => {
    const { count, windowMs } = limit
    const burst = burstOf(limit)
    return `${count}/${windowMs}ms${burst === count ? '' : ` burst ${burst}`}`
  })
  return figures.join(';')
}

function checkInteger(value: unknown, max: number, name: string): number {
  const accepted = `an integer from 1 to ${max}`
  if (typeof value !== 'number') throw new TypeError(mustBe(name, accepted, value))
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new RangeError(mustBe(name, accepted, value))
  }
  return value
}
