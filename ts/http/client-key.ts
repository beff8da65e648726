import { RequestRefused } from '../errors.ts'
import { type MaybePromise, toPromise, withTimeout } from '../maybe-promise.ts'
import { invalid, mustBe } from '../validate.ts'
import type { LimiterContext } from './adapter.ts'
import { byIp, isNone, type Key } from './key-functions.ts'

/** What becomes of a request without a key: refuse it (400), count all of them by one key, or by the address. */
export type MissingKey = 'deny' | 'shared' | 'ip'
/** What becomes of a request whose key function fails: count it by the address, or refuse it (500). */
export type KeyErrorPolicy = 'ip' | 'deny'

/** No key function can return it: its keys do not start with NUL. */
const SHARED_KEY = '\0shared'
const MAX_KEY_LENGTH = 1_048_576
const ACCEPTED = `a text of up to ${MAX_KEY_LENGTH} characters, a whole number or nothing`
const BY_IP = byIp()

/**
 * The key that a request is counted by.
 *
 * @throws RequestRefused, or rejects with it, if there is none
 */
export function resolveKey<Request extends object, Response extends object>(
  context: LimiterContext<Request, Response>,
  request: Request,
): MaybePromise<string> {
  let key: unknown
  try {
    key = context.options.key(request, context.client)
    if (isUsual(key)) return key
    key = toPromise(key)
  } catch (error) {
    return keyAfterError(context, request, error)
  }
  return key instanceof Promise ? awaitKey(context, request, key) : readKey(context, request, key)
}

/**
 * The key by which counters know what a key function returns.
 *
 * @throws TypeError with the code INVALID_ARGUMENT for anything that is no key
 */
export function counterKey(key: Key, missingKey: MissingKey): string {
  if (isNone(key) && missingKey === 'shared') return SHARED_KEY
  const name = isNone(key) ? undefined : textOf(key)
  if (name === undefined) throw invalid(TypeError, 'INVALID_ARGUMENT', 'key', ACCEPTED, key)
  return name
}

async function awaitKey<Request extends object, Response extends object>(
  context: LimiterContext<Request, Response>,
  request: Request,
  promise: Promise<unknown>,
): Promise<string> {
  let key: unknown
  try {
    key = await withTimeout(promise, context.options.keyTimeoutMs, 'the key function')
  } catch (error) {
    return keyAfterError(context, request, error)
  }
  return readKey(context, request, key)
}

function readKey<Request extends object, Response extends object>(
  context: LimiterContext<Request, Response>,
  request: Request,
  key: unknown,
): string {
  if (!isNone(key)) {
    const text = textOf(key)
    if (text !== undefined) return text
    const shown = typeof key === 'string' ? `one of ${key.length}` : key
    const message = mustBe('what the key function returns', ACCEPTED, shown)
    return keyAfterError(context, request, new TypeError(message))
  }
  const { missingKey } = context.options
  if (missingKey === 'shared') return SHARED_KEY
  const address = missingKey === 'ip' ? addressKeyOf(context, request) : undefined
  if (address !== undefined) return address
  if (!context.expectsMissingKeys) context.events.keyMissing()
  throw new RequestRefused('KEY_MISSING')
}

function keyAfterError<Request extends object, Response extends object>(
  context: LimiterContext<Request, Response>,
  request: Request,
  error: unknown,
): string {
  context.events.failed(request, error)
  const address = context.options.onKeyError === 'ip' ? addressKeyOf(context, request) : undefined
  if (address === undefined) throw new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
  return address
}

function addressKeyOf<Request extends object, Response extends object>(
  { client }: LimiterContext<Request, Response>,
  request: Request,
): string | undefined {
  return BY_IP(request, client) as string | undefined
}

function isUsual(key: unknown): key is string {
  return typeof key === 'string' && key !== '' && key.length <= MAX_KEY_LENGTH
}

function textOf(key: unknown): string | undefined {
  if (typeof key === 'string') return key.length <= MAX_KEY_LENGTH ? key : undefined
  return Number.isSafeInteger(key) ? String(key) : undefined
}
