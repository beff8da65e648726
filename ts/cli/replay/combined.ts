import {
  DASH,
  type Entry,
  endOfQuoted,
  type Flaw,
  isDigit,
  placeOf,
  QUOTE,
  readRequestLine,
  SPACE,
} from './entry.ts'
import { CLF_LENGTH, readClfTime, readTime } from './log-time.ts'

const OPEN = 0x5b
const CLOSE = 0x5d

/**
 * Reads a line of a common or combined log:
 *
 * ```text
 * address ident user [time] "request" status bytes "referrer" "user agent" "x-forwarded-for"
 * ```
 *
 * What stands behind the status may be missing.
 *
 * @param takesForwarded whether the client is the one of X-Forwarded-For, where the line has it
 */
export function readCombined(
  bytes: Buffer,
  from: number,
  to: number,
  entry: Entry,
  takesForwarded: boolean,
): Flaw | undefined {
  entry.clear(bytes)
  const clientTo = placeOf(SPACE, bytes, from, to)
  const identTo = placeOf(SPACE, bytes, clientTo + 1, to)
  if (identTo >= to) return 'format'
  const timeFrom = findTime(bytes, identTo, to, entry)
  if (timeFrom < 0) return timeFrom === NO_BRACKET ? 'format' : 'time'
  entry.clientFrom = from
  entry.clientTo = clientTo
  if (timeFrom - 2 - (identTo + 1) > 0) {
    entry.userFrom = identTo + 1
    entry.userTo = timeFrom - 2
  }
  if (entry.userTo - entry.userFrom === 1 && bytes[entry.userFrom] === DASH) {
    entry.userFrom = entry.userTo
  }
  const open = placeOf(CLOSE, bytes, timeFrom, to) + 2
  if (bytes[open - 1] !== SPACE || bytes[open] !== QUOTE || open >= to) return 'format'
  const close = endOfQuoted(bytes, open + 1, to)
  const rest = close < 0 ? -1 : endOfStatus(bytes, close + 1, to)
  if (rest < 0) return 'format'
  if (!readRequestLine(bytes, open + 1, close, entry)) return 'request'
  if (takesForwarded) readForwarded(bytes, rest, to, entry)
  return undefined
}

const NO_BRACKET = -1
const NO_TIME = -2

/**
 * Finds the bracket that holds a time, and reads it. Users' names may hold blanks and brackets.
 *
 * @param from the blank before the user
 * @returns where the time begins, or one of the two constants
 */
function findTime(bytes: Buffer, from: number, to: number, entry: Entry): number {
  let found = NO_BRACKET
  for (let at = from; at < to && bytes[at] !== QUOTE; at++) {
    if (bytes[at] !== OPEN || bytes[at - 1] !== SPACE) continue
    found = NO_TIME
    entry.timeMs = readBracketed(bytes, at + 1, to)
    if (entry.timeMs >= 0) return at + 1
  }
  return found
}

function readBracketed(bytes: Buffer, from: number, to: number): number {
  if (from + CLF_LENGTH < to && bytes[from + CLF_LENGTH] === CLOSE) {
    const time = readClfTime(bytes, from)
    if (time >= 0) return time
  }
  const close = placeOf(CLOSE, bytes, from, Math.min(to, from + 42))
  return bytes[close] === CLOSE ? readTime(bytes, from, close) : Number.NaN
}

/** Where a blank and a status of three digits end, or -1. */
function endOfStatus(bytes: Buffer, from: number, to: number): number {
  const end = from + 4
  if (end > to || bytes[from] !== SPACE || (end < to && bytes[end] !== SPACE)) return -1
  const isStatus = isDigit(bytes[from + 1]) && isDigit(bytes[from + 2]) && isDigit(bytes[from + 3])
  return isStatus ? end : -1
}

/** Takes the third quoted field behind the status, which nginx's own format `main` has, as the client. */
function readForwarded(bytes: Buffer, from: number, to: number, entry: Entry): void {
  let close = from
  let open = from
  for (let field = 0; field < 3; field++) {
    open = placeOf(QUOTE, bytes, close, to) + 1
    close = endOfQuoted(bytes, open, to) + 1
    if (close === 0) return
  }
  if (close - 1 === open || (close - 2 === open && bytes[open] === DASH)) return
  entry.clientFrom = open
  entry.clientTo = close - 1
}
