import { DASH, isDigit } from './entry.ts'

/*
 * Times of logs, read from bytes. All give milliseconds since 1970 or NaN. A time without a zone is taken as UTC:
 * the zone of this machine need not be that of the machine that wrote the log.
 */

const MONTHS: ReadonlyMap<number, number> = new Map(
  ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'].map(
    (name, index) => [threeBytes(Buffer.from(name), 0), index + 1],
  ),
)
const DAYS_BEFORE: readonly number[] = [
  0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365,
]

/** Length of `10/Oct/2000:13:55:36 -0700`. */
export const CLF_LENGTH = 26

/** Reads `10/Oct/2000:13:55:36 -0700`. */
export function readClfTime(bytes: Buffer, at: number): number {
  const day = two(bytes, at)
  const month = MONTHS.get(threeBytes(bytes, at + 3)) ?? 0
  const year = two(bytes, at + 7) * 100 + two(bytes, at + 9)
  const separators =
    bytes[at + 2] === 0x2f &&
    bytes[at + 6] === 0x2f &&
    bytes[at + 11] === 0x3a &&
    bytes[at + 20] === 0x20
  if (!separators) return Number.NaN
  const days = daysOf(year, month, day)
  return days * 86_400_000 + readClock(bytes, at + 12) - readOffset(bytes, at + 21, at + 26)
}

/**
 * Reads a time in any of the forms that JSON logs have: `2026-11-30T11:28:10.123Z` (also with an offset, a blank for
 * the T or no zone), seconds to nanoseconds since 1970, that of combined logs, and `Tue, 10 Oct 2000 13:55:36 GMT`.
 */
export function readTime(bytes: Buffer, from: number, to: number): number {
  if (to === from || to - from > 40) return Number.NaN
  if (!isDigit(bytes[from])) return readWebDate(bytes, from, to)
  if (bytes[from + 4] === DASH && to - from >= 19) return readIsoTime(bytes, from, to)
  if (bytes[from + 2] === 0x2f) {
    return to - from === CLF_LENGTH ? readClfTime(bytes, from) : Number.NaN
  }
  return epochMs(bytes, from, to)
}

/** Digits, and a fraction if need be: which unit they count shows in their size. */
function epochMs(bytes: Buffer, from: number, to: number): number {
  let value = 0
  let at = from
  for (; at < to && isDigit(bytes[at]); at++) value = value * 10 + (bytes[at] as number) - 0x30
  if (at < to) {
    const text = bytes.toString('latin1', from, to)
    value = /^\d+\.\d+(e\+?\d\d?)?$/i.test(text) ? Number(text) : Number.NaN
  }
  if (value < 1e11) return Math.round(value * 1_000)
  if (value < 1e14) return Math.floor(value)
  const ms = value < 1e17 ? Math.floor(value / 1e3) : Math.floor(value / 1e6)
  return ms < 1e14 ? ms : Number.NaN
}

function readIsoTime(bytes: Buffer, from: number, to: number): number {
  const year = two(bytes, from) * 100 + two(bytes, from + 2)
  const separator = (bytes[from + 10] as number) | 0x20
  const hasForm = bytes[from + 7] === DASH && (separator === 0x74 || separator === 0x20)
  if (!hasForm) return Number.NaN
  const days = daysOf(year, two(bytes, from + 5), two(bytes, from + 8))
  let at = from + 19
  let fraction = 0
  if (at < to && (bytes[at] === 0x2e || bytes[at] === 0x2c)) {
    let unit = 100
    for (at++; at < to && isDigit(bytes[at]); at++, unit /= 10) {
      if (unit >= 1) fraction += ((bytes[at] as number) - 0x30) * unit
    }
  }
  return days * 86_400_000 + readClock(bytes, from + 11) + fraction - readOffset(bytes, at, to)
}

/** Only with a zone: `Date.parse` takes other texts, and the machine's own zone for some. */
function readWebDate(bytes: Buffer, from: number, to: number): number {
  const text = bytes.toString('latin1', from, to)
  const isWebDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (GMT|[+-]\d{4})$/
  const time = isWebDate.test(text) ? Date.parse(text) : Number.NaN
  return time >= 0 ? time : Number.NaN
}

/** Milliseconds of `13:55:36`. A leap second is the first of the next minute. */
function readClock(bytes: Buffer, at: number): number {
  const hour = two(bytes, at)
  const minute = two(bytes, at + 3)
  const second = two(bytes, at + 6)
  const colons = bytes[at + 2] === 0x3a && bytes[at + 5] === 0x3a
  if (!colons || !(hour <= 23 && minute <= 59 && second <= 60)) return Number.NaN
  return ((hour * 60 + minute) * 60 + second) * 1_000
}

/** Milliseconds of `-0700`, `-07:00`, `Z`, or nothing. */
function readOffset(bytes: Buffer, from: number, to: number): number {
  if (from === to) return 0
  const sign = bytes[from]
  if (sign === 0x5a || sign === 0x7a) return to === from + 1 ? 0 : Number.NaN
  if (sign !== 0x2b && sign !== DASH) return Number.NaN
  const colon = bytes[from + 3] === 0x3a ? 1 : 0
  const hasMinutes = to === from + 5 + colon
  if (!hasMinutes && to !== from + 3) return Number.NaN
  const hours = two(bytes, from + 1)
  const minutes = hasMinutes ? two(bytes, from + 3 + colon) : 0
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN
  return (hours * 60 + minutes) * (sign === DASH ? -60_000 : 60_000)
}

/** Days from 1970 on; NaN for a day that is not in the calendar. */
function daysOf(year: number, month: number, day: number): number {
  if (!(year >= 1970 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const before = DAYS_BEFORE[month] as number
  const length = (DAYS_BEFORE[month + 1] as number) - before + (isLeap && month === 2 ? 1 : 0)
  if (day > length) return Number.NaN
  const leapDays =
    Math.floor((year - 1969) / 4) -
    Math.floor((year - 1901) / 100) +
    Math.floor((year - 1601) / 400)
  return 365 * (year - 1970) + leapDays + before + (isLeap && month > 2 ? 1 : 0) + day - 1
}

/** A number of two digits, or NaN. */
function two(bytes: Buffer, at: number): number {
  const tens = (bytes[at] as number) - 0x30
  const ones = (bytes[at + 1] as number) - 0x30
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

function threeBytes(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
  )
}
