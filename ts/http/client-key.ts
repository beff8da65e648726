import { RequestRefused } from '../errors.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { toPromise, withTimeout } from '../maybe-promise.ts'
import { invalid, mustBe } from '../validate.ts'
import { byIp, type Facts, isNone, type Key, type KeyFunction } from './key-functions.ts'

/** What to do without a key: refuse (400), put all of these requests in one budget, or take the address. */
export type MissingKey = 'deny' | 'shared' | 'ip'
/** What to do when the key function fails: take the address, or refuse (500). */
export type KeyErrorPolicy = 'ip' | 'deny'

/** How callers are named. */
export interface CallerOptions<Request> {
  readonly key: KeyFunction<Request>
  readonly missingKey: MissingKey
  readonly onKeyError: KeyErrorPolicy
  readonly keyTimeoutMs: number
}

/** No key function can answer this: it would have to be a text that starts with NUL. */
const SHARED = '\0shared'
const MAX_KEY_LENGTH = 1_048_576
const ACCEPTED = `a text of up to ${MAX_KEY_LENGTH} characters, a whole number or nothing`
const BY_IP = byIp()

/** Names the caller of each request, come what may: there is a key, or the request is refused. */
export class Caller<Request> {
  readonly #options: CallerOptions<Request>
  readonly #facts: Facts<Request>
  readonly #report: (request: Request, error: unknown) => void
  readonly #keyMissing: (() => void) | undefined

  /**
   * @param report told of every key function that failed
   * @param keyMissing called with every request that is refused because it has no key
   */
  constructor(
    options: CallerOptions<Request>,
    facts: Facts<Request>,
    report: (request: Request, error: unknown) => void,
    keyMissing?: () => void,
  ) {
    this.#options = options
    this.#facts = facts
    this.#report = report
    this.#keyMissing = keyMissing
  }

  /** @throws RequestRefused, or rejects with it */
  of(request: Request): MaybePromise<string> {
    let key: unknown
    try {
      key = this.#options.key(request, this.#facts)
      if (typeof key === 'string' && key !== '' && key.length <= MAX_KEY_LENGTH) return key
      key = toPromise(key)
    } catch (error) {
      return this.#failed(request, error)
    }
    return key instanceof Promise ? this.#later(request, key) : this.#read(request, key)
  }

  /**
   * The name that counters know a key by, as a key function returns it.
   *
   * @throws TypeError with the code INVALID_ARGUMENT for what names no caller
   */
  named(key: Key): string {
    if (isNone(key) && this.#options.missingKey === 'shared') return SHARED
    const name = isNone(key) ? undefined : nameOf(key)
    if (name === undefined) throw invalid(TypeError, 'INVALID_ARGUMENT', 'key', ACCEPTED, key)
    return name
  }

  async #later(request: Request, promise: Promise<unknown>): Promise<string> {
    let key: unknown
    try {
      key = await withTimeout(promise, this.#options.keyTimeoutMs, 'the key function')
    } catch (error) {
      return this.#failed(request, error)
    }
    return this.#read(request, key)
  }

  #read(request: Request, key: unknown): string {
    if (isNone(key)) return this.#missing(request)
    const name = nameOf(key)
    if (name !== undefined) return name
    const shown = typeof key === 'string' ? `one of ${key.length}` : key
    return this.#failed(
      request,
      new TypeError(mustBe('what the key function returns', ACCEPTED, shown)),
    )
  }

  #missing(request: Request): string {
    const { missingKey } = this.#options
    if (missingKey === 'shared') return SHARED
    const address = missingKey === 'ip' ? this.#address(request) : undefined
    if (address !== undefined) return address
    this.#keyMissing?.()
    throw new RequestRefused('KEY_MISSING')
  }

  #failed(request: Request, error: unknown): string {
    this.#report(request, error)
    const address = this.#options.onKeyError === 'ip' ? this.#address(request) : undefined
    if (address === undefined) throw new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
    return address
  }

  #address(request: Request): string | undefined {
    return BY_IP(request, this.#facts) as string | undefined
  }
}

function nameOf(key: unknown): string | undefined {
  if (typeof key === 'string') return key.length <= MAX_KEY_LENGTH ? key : undefined
  return Number.isSafeInteger(key) ? String(key) : undefined
}
