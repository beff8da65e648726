/** Longest rendering of somebody else's text or value that an error of ours carries. */
const MAX_PRINTED = 64
const ELLIPSIS = '...'

/**
 * A limit string that the grammar does not accept.
 *
 * The message names the text, the position and what is accepted there:
 * `Invalid limit "10/fortnight" at position 3: expected a unit: ...`.
 */
export class InvalidLimit extends RangeError {
  static {
    // On the prototype, as the built-in errors do it: a field would come too late for the stack's first line.
    Object.defineProperty(InvalidLimit.prototype, 'name', {
      value: 'InvalidLimit',
      configurable: true,
      writable: true,
    })
  }

  /** Stable name of this error. */
  readonly code = 'INVALID_LIMIT'
  /** The refused text: at most 64 characters, and safe to print (everything but printable ASCII is escaped). */
  readonly text: string
  /** Where reading stopped: 0-based index, in UTF-16 code units, into the text as it was given. */
  readonly position: number

  /**
   * @param text the whole text as it was given, however long or hostile
   * @param position 0-based index into `text` of what was refused
   * @param expected what is accepted there, in words
   * @param name what the text was given as. Default: `limit`
   */
  constructor(text: string, position: number, expected: string, name = 'limit') {
    const shown = shorten(text, MAX_PRINTED)
    super(`Invalid ${name} "${shown}" at position ${position}: expected ${expected}`)
    this.text = shown
    this.position = position
  }
}

/**
 * Message for an argument of the wrong type or out of range: `limits.count must be an integer, not "5"`.
 *
 * @param name the argument, as the caller wrote it
 * @param accepted what is accepted, in words
 * @param value what was given; printed by {@link printable}
 */
export function mustBe(name: string, accepted: string, value: unknown): string {
  return `${name} must be ${accepted}, not ${printable(value)}`
}

/** Codes of the errors for what a caller or an operator passes: docs/reference/errors.md explains each. */
export type InputErrorCode = 'INVALID_ARGUMENT' | 'INVALID_OPTION'

/**
 * The error for an argument or option that is not accepted: `burst must be an integer from 1, got "5"`.
 *
 * A `TypeError` for a value of the wrong type, else a `RangeError`; both carry the `code`.
 *
 * @param name the argument or option, as the caller wrote it
 * @param accepted what is accepted, in words
 * @param value what was given; printed by {@link printable}, so hostile text is escaped and cut
 */
export function invalid(
  Kind: typeof TypeError | typeof RangeError,
  code: InputErrorCode,
  name: string,
  accepted: string,
  value: unknown,
): TypeError | RangeError {
  const error = new Kind(`${name} must be ${accepted}, got ${printable(value)}`)
  return Object.assign(error, { code })
}

/** The error of a limiter that was closed, with the native core's code. */
export function closedError(message: string): Error {
  return Object.assign(new Error(message), { code: 'CLOSED' })
}

/** Whether an error says that the limiter was closed: a server that shuts down still ends its requests. */
export function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'CLOSED'
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
      return printableBigint(value)
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

// Printing a bigint of a million digits takes quadratic time; comparing it does not.
function printableBigint(value: bigint): string {
  const bound = 10n ** 30n
  return -bound < value && value < bound ? `${value}n` : '[bigint of more than 30 digits]'
}

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
 * Built anew and not sliced: a slice would keep a hostile megabyte alive for as long as the error lives.
 */
function shorten(text: string, room: number): string {
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

/** Why a request was not served, other than by its limits. */
export type RefusalCode = 'ADDRESS_DENIED' | 'KEY_MISSING' | 'RATE_LIMITER_FAILED'

const ANSWERS: Readonly<Record<RefusalCode, readonly [status: number, message: string]>> = {
  ADDRESS_DENIED: [403, 'Address not allowed'],
  KEY_MISSING: [400, 'Client could not be identified'],
  RATE_LIMITER_FAILED: [500, 'The rate limit of this request could not be checked'],
}

/**
 * A request that is refused without having been counted.
 *
 * Its message is one of three constant texts: nothing of the request, the key or another error is in it.
 * What went wrong inside stands in `cause`.
 */
export class RequestRefused extends Error {
  static {
    Object.defineProperty(RequestRefused.prototype, 'name', {
      value: 'RequestRefused',
      configurable: true,
      writable: true,
    })
  }

  /** Stable name of the reason. */
  readonly code: RefusalCode
  /** HTTP status: 403, 400 or 500. */
  readonly statusCode: number

  constructor(code: RefusalCode, options?: ErrorOptions) {
    const [status, message] = ANSWERS[code]
    super(message, options)
    this.code = code
    this.statusCode = status
  }
}
