import { MAX_WINDOW_MS } from '../limit/limit.ts'

/** Longest key, in UTF-16 code units, as in the native core. */
const LONGEST_KEY = 1_048_576
const KEY = 'a string of at most 1048576 characters'
const WHOLE = 'a whole number from 0 to 2^53 - 1'

/*
 * The native core's own refusals, in its own words: a limiter says the same wherever its counters live.
 */

/** @throws TypeError or RangeError with code INVALID_ARGUMENT unless it is a key */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string') throw refusal(TypeError, `key: ${kindOf(key)}; expected ${KEY}`)
  if (key.length > LONGEST_KEY) {
    const long = 'key: a string of over 1048576 characters; expected a string of at most so many'
    throw refusal(RangeError, long)
  }
}

/**
 * @param name the argument, for the message
 * @throws TypeError or RangeError with code INVALID_ARGUMENT unless it is a whole number
 */
export function checkWhole(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') {
    throw refusal(TypeError, `${name}: ${kindOf(value)}; expected ${WHOLE}`)
  }
  if (!Number.isSafeInteger(value) || value < 0) {
    throw refusal(RangeError, `${name}: ${value}; expected ${WHOLE}`)
  }
}

/** @throws TypeError or RangeError with code INVALID_ARGUMENT unless it is a length of time */
export function checkDuration(ms: unknown): asserts ms is number {
  const expected = 'expected a whole number of milliseconds, 1 to 10 years'
  if (ms === undefined) throw refusal(TypeError, `ms: ${ms}; ${expected}`)
  checkWhole(ms, 'ms')
  if (ms < 1 || ms > MAX_WINDOW_MS) throw refusal(RangeError, `ms: ${ms}; ${expected}`)
}

function refusal(Kind: ErrorConstructor, message: string): Error {
  return Object.assign(new Kind(message), { code: 'INVALID_ARGUMENT' })
}

/** What it is, in the native core's words. Numbers are shown, other values only named. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'number') return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
