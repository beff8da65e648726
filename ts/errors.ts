import type { Decision } from './decision.ts'
import { MAX_PRINTED, shorten, withCode } from './validate.ts'

/*
 * The public error classes, and every `code` that an error of this package carries.
 * docs/reference/errors.md explains each code.
 */

/** Every code that an error of this package carries. */
export type ErrorCode =
  /** A limit string does not follow the grammar, or limits cannot be counted exactly. */
  | 'INVALID_LIMIT'
  /** An option or a setting is unknown, or has a value that is not accepted. */
  | 'INVALID_OPTION'
  /** A configuration file is not accepted, with all that is wrong with it. */
  | 'INVALID_CONFIG'
  /** An argument of a call is not accepted, such as a key that is no string. */
  | 'INVALID_ARGUMENT'
  /** `storage` or `url` is no URL of a store that is known. */
  | 'INVALID_STORAGE'
  /** `allow` was called on a limiter that answers with promises. */
  | 'ASYNC_LIMITER'
  /** The limiter was closed. */
  | 'CLOSED'
  /** The process has a limiter of this name with other settings. */
  | 'NAME_IN_USE'
  /** The capacity needs more memory than there is. */
  | 'OUT_OF_MEMORY'
  /** The system gave no random bytes for the secret that keys are hashed with. */
  | 'NO_RANDOM_BYTES'
  /** `block` found every slot that the key may use held by another blocked key. */
  | 'TABLE_FULL'
  /** The storage is in Redis, and the package ioredis is not installed. */
  | 'MISSING_IOREDIS'
  /** A configuration file is YAML, and the package yaml is not installed. */
  | 'MISSING_YAML'
  /** A subpath needs a package that is not installed, such as ratethrottle/grpc the package @grpc/grpc-js. */
  | 'MISSING_PEER'
  /** The native addon for this platform is not installed. */
  | 'ADDON_MISSING'
  /** Node runs with a flag that forbids native addons. */
  | 'ADDON_NOT_ALLOWED'
  /** The native addon's file cannot be loaded on this system. */
  | 'ADDON_NOT_LOADABLE'
  /** There is no native addon for this platform. */
  | 'ADDON_UNSUPPORTED'
  /** A call to a store failed: the `error` of `onError`. */
  | 'STORE_FAILURE'
  /** A store returned bytes that are no record of this limiter. */
  | 'RECORD_DAMAGED'
  /** A bug of this package. */
  | 'INTERNAL'
  // Of the tier `shared`.
  /** Processes cannot share limiters on this system. */
  | 'NOT_AVAILABLE'
  /** The shared file or its directory is not as this package leaves it. */
  | 'SHARED_UNTRUSTED'
  /** The shared file is used by processes with another clock or another version of its layout. */
  | 'SHARED_MISMATCH'
  /** The file system has no room for the shared file. */
  | 'SHARED_NO_SPACE'
  /** The system refused the shared file for another reason, which the message names. */
  | 'SHARED_FAILED'
  /** The shared file is not removed while processes use it. */
  | 'SHARED_IN_USE'
  /** There is no shared file of this name. */
  | 'SHARED_MISSING'
  // Of adapters. The first four are seen by clients.
  /** The request is over its limit. */
  | 'RATE_LIMIT_EXCEEDED'
  /** Option `deny` lists the client's address. */
  | 'ADDRESS_DENIED'
  /** The request has no client address, or the key function returned none. */
  | 'KEY_MISSING'
  /** A key function, a store or an option that is a function failed, and the request is not served. */
  | 'RATE_LIMITER_FAILED'
  /** A control was called on an adapter that has no limits. */
  | 'NO_LIMITS'
  /** A control needs to know the limits, and they are a function of the request. */
  | 'LIMITS_DEPEND_ON_REQUEST'
  /** Fastify: another plugin has decorated the instance with the same name. */
  | 'DECORATOR_TAKEN'
  // Of the control socket.
  /** The socket's directory is not this user's alone. */
  | 'CONTROL_UNTRUSTED'
  /** The system refused the socket. */
  | 'CONTROL_FAILED'
  /** The command line: no process answers. */
  | 'CONTROL_GONE'

/**
 * A limit string that the grammar does not accept.
 *
 * The message names the text, the position and what is accepted there:
 * `Invalid limit "10/fortnight" at position 3: expected a unit: ...`.
 */
export class InvalidLimit extends RangeError {
  static {
    nameOnPrototype(InvalidLimit, 'InvalidLimit')
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

/** Marks every RateLimitExceeded, also those of another copy of this package. */
const BRAND = Symbol.for('ratethrottle.RateLimitExceeded')

/**
 * A request that its limit does not admit.
 *
 * Made to pass through a web framework's error handling: Fastify and Express read `statusCode`.
 * It carries no key, no address and no text of a store.
 *
 * `error instanceof RateLimitExceeded` also holds for Hono's `HTTPException` of a refusal, and for errors of
 * another copy of this package.
 */
export class RateLimitExceeded extends Error {
  static {
    nameOnPrototype(RateLimitExceeded, 'RateLimitExceeded')
    markExceeded(RateLimitExceeded.prototype)
    Object.defineProperty(RateLimitExceeded, Symbol.hasInstance, { value: isExceeded })
  }

  /** Stable name of this error. */
  readonly code = 'RATE_LIMIT_EXCEEDED'
  /** HTTP status: 429, Too Many Requests, unless another was asked for. */
  readonly statusCode: number
  /** The same, as http-errors calls it: Nest answers 500 to errors without it. */
  readonly status: number
  /** That clients may read the message, as http-errors calls it. */
  readonly expose = true
  /** Seconds to wait, rounded up, so that obeying them is enough; `Infinity` when waiting won't help. */
  readonly retryAfter: number
  /** The decision in full. */
  readonly decision: Decision

  /**
   * @param decision the denial
   * @param message default: how long to wait, in words
   * @param statusCode default: 429
   */
  constructor(decision: Decision, message?: string, statusCode = 429) {
    const seconds = Math.ceil(decision.retryAfterMs / 1000)
    super(message ?? retryMessage(seconds))
    this.statusCode = statusCode
    this.status = statusCode
    this.retryAfter = seconds
    this.decision = decision
  }
}

/** Why a caller got no permit. */
export type ConcurrencyReason = 'perKey' | 'total' | 'capacity' | 'store'

/** What a client without a permit is told, unless the program says something else. */
export const PERMIT_MESSAGE = 'Too many requests at a time, retry in 1 second'

/** When a permit comes free is not known: clients are told to come back after this long. */
const PERMIT_RETRY_MS = 1_000

/**
 * A caller for whom there is no permit: as many are inside as may be.
 *
 * It is a `RateLimitExceeded`, with the same code and status, so what handles that handles this. Its `retryAfter` is 1
 * second: nothing says when a permit comes free.
 */
export class ConcurrencyExceeded extends RateLimitExceeded {
  static {
    nameOnPrototype(ConcurrencyExceeded, 'ConcurrencyExceeded')
  }

  /**
   * Which limit refused; `'capacity'`: as many keys hold permits as the limiter has room for; `'store'`: the store does
   * not answer, and `onError` is `'closed'`.
   */
  readonly reason: ConcurrencyReason

  /** @param limit how many permits the limit has */
  constructor(reason: ConcurrencyReason, limit: number, message?: string, statusCode?: number) {
    super(permitDenial(limit), message ?? PERMIT_MESSAGE, statusCode)
    this.reason = reason
  }
}

/** The decision that says that no permit is left. */
export function permitDenial(limit: number): Decision {
  return {
    allowed: false,
    limit,
    remaining: 0,
    resetMs: PERMIT_RETRY_MS,
    limitResetMs: PERMIT_RETRY_MS,
    retryAfterMs: PERMIT_RETRY_MS,
    retryAfter: PERMIT_RETRY_MS / 1_000,
    policy: 0,
  }
}

/** How long to wait, in words. */
export function retryMessage(seconds: number): string {
  if (seconds === Number.POSITIVE_INFINITY) {
    return 'Rate limit exceeded: this request costs more than the limit ever admits'
  }
  return `Rate limit exceeded, retry in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
}

/** Has an error of another class count as a {@link RateLimitExceeded}, whose fields it must have. */
export function markExceeded(error: object): void {
  Object.defineProperty(error, BRAND, { value: true })
}

/** What `instanceof` asks: by the class, or by the mark that an error of another class carries. */
function isExceeded(this: unknown, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(this as typeof RateLimitExceeded, value))
    return true
  // The mark does not say of which subclass an error is.
  const isThis = this === RateLimitExceeded
  return isThis && typeof value === 'object' && value !== null && BRAND in value
}

/** Why a request was not served, other than by its limits. */
export type RefusalCode =
  | 'ADDRESS_DENIED'
  | 'KEY_MISSING'
  | 'RATE_LIMITER_FAILED'
  | 'ABNORMAL_USAGE'
  | 'REDUCED_CAPACITY'

const REFUSALS: Readonly<Record<RefusalCode, readonly [status: number, message: string]>> = {
  ADDRESS_DENIED: [403, 'Address not allowed'],
  KEY_MISSING: [400, 'Client could not be identified'],
  RATE_LIMITER_FAILED: [500, 'The rate limit of this request could not be checked'],
  ABNORMAL_USAGE: [429, 'Abnormal usage detected, retry later'],
  REDUCED_CAPACITY: [503, 'Capacity is reduced for the time being, retry later'],
}

/**
 * A request that is refused by other things than its limits.
 *
 * Its message is one of five constant texts: nothing of the request, the key or another error is in it.
 * `cause` holds the error that was thrown inside.
 */
export class RequestRefused extends Error {
  static {
    nameOnPrototype(RequestRefused, 'RequestRefused')
  }

  /** Stable name of the reason. */
  readonly code: RefusalCode
  /** HTTP status: 400, 403, 429, 500 or 503. */
  readonly statusCode: number
  /** Seconds to wait, rounded up. Only where the shield refuses. */
  declare readonly retryAfter?: number

  constructor(code: RefusalCode, options?: ErrorOptions & { readonly retryAfter?: number }) {
    const [status, message] = REFUSALS[code]
    super(message, options)
    this.code = code
    this.statusCode = status
    if (options?.retryAfter !== undefined) this.retryAfter = options.retryAfter
  }
}

/** The status and the message of a refusal that has no error yet. */
export function refusalOf(code: RefusalCode): readonly [status: number, message: string] {
  return REFUSALS[code]
}

/** On the prototype, as the built-in errors do it: a field would come too late for the stack's first line. */
function nameOnPrototype(Class: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(Class.prototype, 'name', {
    value: name,
    configurable: true,
    writable: true,
  })
}

/** The error of a limiter that was closed, with the native core's code. */
export function closedError(message: string): Error & { readonly code: 'CLOSED' } {
  return withCode(new Error(message), 'CLOSED')
}

/** Whether an error says that the limiter was closed: a server that shuts down still ends its requests. */
export function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'CLOSED'
}
