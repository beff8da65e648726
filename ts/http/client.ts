import { clientOf, type Trust } from '../client-ip/trust-proxy.ts'
import { RequestRefused } from '../errors.ts'
import { type MaybePromise, toPromise, withTimeout } from '../limiter.ts'
import { invalid } from '../validate.ts'
import type { HttpAdapter } from './adapter.ts'
import type { LimiterContext } from './charge.ts'
import type { WarningCode, Warnings } from './events.ts'
import { byIp, isNone, type Key, type KeyContext } from './key-functions.ts'

/** Stands for the address of clients on a Unix-domain socket, which have none. */
export const UNIX = 'unix'
/** The address of all clients without a connection. No proxy has it, so none of them is trusted. */
export const IN_PROCESS = 'in-process'
/** Stands for the address of a client of which the runtime says none. */
export const UNKNOWN = 'unknown'
/** The first 64 requests are all checked for a stray header, then one in 256. */
const FIRST_LOOKS = 64
const LATER_LOOKS = 256
const PROXY_WARNINGS: readonly WarningCode[] = [
  'RATETHROTTLE_PERMISSIVE_PROXY',
  'RATETHROTTLE_HOP_COUNT',
]

/** The path and query that a request asked for: frameworks leave it there when they cut `url`. */
export function targetOf(request: { readonly url?: string | undefined }): string {
  const { originalUrl = request.url } = request as { readonly originalUrl?: unknown }
  return typeof originalUrl === 'string' ? originalUrl : ''
}

/** What says who is at the other end. */
type Addressed = Pick<HttpAdapter, 'peer' | 'headers' | 'forwarded'>

/** Which client sent a request: what sockets and headers say, as far as they can be trusted. */
export class ClientResolver implements KeyContext<object> {
  readonly #framework: Addressed
  readonly #trust: Trust | undefined
  readonly #warnings: Warnings
  #isWarned = false
  #seen = 0

  /** @param trust in place of the framework's own proxy setting */
  constructor(framework: Addressed, trust: Trust | undefined, warnings: Warnings) {
    this.#framework = framework
    this.#trust = trust
    this.#warnings = warnings
  }

  client(request: object, trust: Trust | undefined = this.#trust): string | undefined {
    const framework = this.#framework
    const peer = framework.peer(request)
    if (peer === undefined) return undefined
    if (peer === UNKNOWN) return this.#unknown(request, trust)
    if (trust !== undefined) {
      const address = peer === UNIX ? undefined : peer
      return trust.resolve(address, framework.headers(request)) ?? UNIX
    }
    const chain = peer === UNIX ? undefined : framework.forwarded(request, peer)
    return chain === undefined ? peer : clientOf(chain)
  }

  /** Only headers can tell, where every peer is trusted. */
  #unknown(request: object, trust: Trust | undefined): string | undefined {
    const found = trust?.resolve(undefined, this.#framework.headers(request))
    if (found !== undefined) return found
    this.#warnings.warnOnce(
      'RATETHROTTLE_NO_ADDRESS',
      'a request came without an address of its client, so it has no key: it is refused unless option missingKey ' +
        'says otherwise. Say where the address is, address: (request, info) => info.remoteAddress, or give a key. ' +
        'Where only your proxies reach the server: trust: { proxies: TRUST_EVERYBODY, hops: 1 }',
    )
    return undefined
  }

  header(request: object, name: string): string | undefined {
    const headers = this.#framework.headers(request)
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined
    return Array.isArray(value) ? value.join(', ') : value
  }

  /**
   * Warns once of an `X-Forwarded-For` that is not used: either a proxy is missing from the settings, and all its
   * clients are counted as one, or a client has forged the header, which is harmless.
   *
   * Looks at a sample: having node:http make an object of the headers costs more than deciding.
   */
  warnOfStrayHeader(request: object): void {
    if (this.#isWarned) return
    this.#seen++
    if (this.#seen > FIRST_LOOKS && this.#seen % LATER_LOOKS !== 0) return
    if (this.#framework.headers(request)['x-forwarded-for'] === undefined) return
    this.#isWarned = true
    if (this.#trust !== undefined || this.#framework.forwarded(request, UNIX)) return
    // The proxy setting itself may have been warned about.
    if (PROXY_WARNINGS.some((code) => this.#warnings.has(code))) return
    this.#warnings.warnOnce(
      'RATETHROTTLE_STRAY_FORWARDED_FOR',
      'a request has an X-Forwarded-For header, which is ignored because no proxy is trusted. Behind a proxy all ' +
        'clients now share one budget. Name the proxy: trust: "10.0.0.0/8", or the server\'s own setting',
    )
  }
}

/** Whether a framework's proxy setting trusts a peer with this address. */
export type TrustFn = (address: string, hop: number) => boolean

/** Addresses for documentation (RFC 5737, RFC 3849), one of each family: no proxy has them. */
const UNLISTED = ['203.0.113.1', '2001:db8::1']
const CONSEQUENCE =
  'Forwarded addresses are therefore ignored, and clients behind a proxy share one budget. ' +
  'List the proxies by address or range, in the server\'s setting or as trust: ["10.0.0.0/8"]'

/**
 * Whether a framework's proxy setting lists the proxies it trusts.
 *
 * One that trusts every peer, or a number of hops whichever they are, lets each client that reaches the server
 * choose its own address. Such a setting is warned about and not followed.
 */
export function isExplicitTrust(setting: unknown, trusts: TrustFn, warnings: Warnings): boolean {
  if (typeof setting === 'number') {
    warnings.warnOnce(
      'RATETHROTTLE_HOP_COUNT',
      'the proxy setting is a number of hops: a client that reaches the server directly counts as one of them, ' +
        `so it could spoof X-Forwarded-For. ${CONSEQUENCE}`,
    )
    return false
  }
  if (!UNLISTED.some((address) => trusts(address, 0))) return true
  warnings.warnOnce(
    'RATETHROTTLE_PERMISSIVE_PROXY',
    `the server trusts every proxy, so clients could spoof X-Forwarded-For. ${CONSEQUENCE}`,
  )
  return false
}

/** What becomes of a request without a key: refuse it (400), count all of them by one key, or by the address. */
export type MissingKey = 'deny' | 'shared' | 'ip'
/** What becomes of a request whose key function fails: count it by the address, or refuse it (500). */
export type KeyErrorPolicy = 'ip' | 'deny'

/** No key function can return it: its keys do not start with NUL. */
const SHARED_KEY = '\0shared'
const MAX_KEY_LENGTH = 1_048_576
/** What a key is. */
export const ACCEPTED_KEY: string = `a text of up to ${MAX_KEY_LENGTH} characters, a whole number or nothing`
const BY_IP = byIp()

/** What it takes to find a key. */
export type KeyAsker = Pick<LimiterContext, 'client' | 'events' | 'expectsMissingKeys'> & {
  readonly options: Pick<
    LimiterContext['options'],
    'key' | 'keyTimeoutMs' | 'missingKey' | 'onKeyError'
  >
}

/**
 * The key that a request is counted by.
 *
 * @throws RequestRefused, or rejects with it, if there is none
 */
export function resolveKey(context: KeyAsker, request: object): MaybePromise<string> {
  let key: unknown
  try {
    key = context.options.key(request, context.client)
    if (typeof key === 'string' && key !== '' && key.length <= MAX_KEY_LENGTH) return key
    key = toPromise(key)
  } catch (error) {
    return keyAfterError(context, request, error)
  }
  if (!(key instanceof Promise)) return readKey(context, request, key)
  return withTimeout(key, context.options.keyTimeoutMs, 'the key function').then(
    (found) => readKey(context, request, found),
    (error) => keyAfterError(context, request, error),
  )
}

/**
 * The key by which counters know what a key function returns.
 *
 * @throws TypeError with the code INVALID_ARGUMENT for anything that is no key
 */
export function counterKey(key: Key, missingKey: MissingKey): string {
  if (isNone(key) && missingKey === 'shared') return SHARED_KEY
  const name = isNone(key) ? undefined : textOf(key)
  if (name === undefined) throw invalid(TypeError, 'INVALID_ARGUMENT', 'key', ACCEPTED_KEY, key)
  return name
}

function readKey(context: KeyAsker, request: object, key: unknown): string {
  if (!isNone(key)) {
    const text = textOf(key)
    if (text !== undefined) return text
    const shown = typeof key === 'string' ? `one of ${key.length}` : key
    const name = 'what the key function returns'
    const error = invalid(TypeError, 'INVALID_ARGUMENT', name, ACCEPTED_KEY, shown)
    return keyAfterError(context, request, error)
  }
  const { missingKey } = context.options
  if (missingKey === 'shared') return SHARED_KEY
  const address = missingKey === 'ip' ? addressKeyOf(context, request) : undefined
  if (address !== undefined) return address
  if (!context.expectsMissingKeys) context.events.keyMissing()
  throw new RequestRefused('KEY_MISSING')
}

function keyAfterError(context: KeyAsker, request: object, error: unknown): string {
  context.events.failed(request, error)
  const address = context.options.onKeyError === 'ip' ? addressKeyOf(context, request) : undefined
  if (address === undefined) throw new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
  return address
}

function addressKeyOf({ client }: KeyAsker, request: object): string | undefined {
  return BY_IP(request, client) as string | undefined
}

/** The text of a key: `undefined` for what is none, and for one that is too long. */
export function textOf(key: unknown): string | undefined {
  if (typeof key === 'string') return key.length <= MAX_KEY_LENGTH ? key : undefined
  return Number.isSafeInteger(key) ? String(key) : undefined
}
