import { addressKey, readIpv6Prefix } from '../client-ip/ip.ts'
import { readTrust, type Trust, type TrustInput } from '../client-ip/trust-proxy.ts'
import { andThen, andThenAll, type MaybePromise, toPromise } from '../limiter.ts'
import { invalid, oneOf, ownOptions } from '../validate.ts'

/** What a key function returns: no key is `undefined`, `null` or an empty text. */
export type Key = string | number | null | undefined

/** What a key function can ask about a request, in every framework. */
export interface KeyContext<Request> {
  /** The client's address, canonical; `trust` in place of the server's own proxy setting. */
  client(request: Request, trust?: Trust): string | undefined
  /** A header by its lower-case name; several lines of it joined by `, `. */
  header(request: Request, name: string): string | undefined
}

/** Says which client, user or tenant a request is counted for. */
export type KeyFunction<Request> = (
  request: Request,
  context: KeyContext<Request>,
) => Key | PromiseLike<Key>

/** How spellings of one account become one key. */
export type Normalize = 'none' | 'trim-lower' | 'nfkc-lower'

/** Options of {@link byUser} and {@link byHeader}. */
export interface SpellingOptions {
  /** Default: `'none'`, each spelling has its own key. For logins use the rule of the login itself. */
  readonly normalize?: Normalize | undefined
}

/** Options of {@link byIp}. */
export interface IpOptions {
  /** Proxies whose forwarded addresses are trusted. Default: those of the adapter's or the framework's setting. */
  readonly trust?: TrustInput | undefined
  /** Bits of an IPv6 address that make up the key: 32 to 128. Default: 64, the network of one customer. */
  readonly ipv6?: number | undefined
}

/** The functions below, with the request type of a framework as their default. */
export interface KeyMakers<Default> {
  /** See {@link byIp}. */
  byIp<Request = Default>(options?: IpOptions): KeyFunction<Request>
  /** See {@link byUser}. */
  byUser<Request = Default>(
    id: (request: Request) => Key | PromiseLike<Key>,
    options?: SpellingOptions,
  ): KeyFunction<Request>
  /** See {@link byHeader}. */
  byHeader<Request = Default>(name: string, options?: SpellingOptions): KeyFunction<Request>
  /** See {@link firstOf}. */
  firstOf<Request = Default>(...sources: KeyFunction<Request>[]): KeyFunction<Request>
  /** See {@link allOf}. */
  allOf<Request = Default>(...sources: KeyFunction<Request>[]): KeyFunction<Request>
}

const SPELLINGS: Readonly<Record<Normalize, (text: string) => string>> = {
  none: (text) => text,
  'trim-lower': (text) => text.trim().toLowerCase(),
  'nfkc-lower': (text) => text.normalize('NFKC').trim().toLowerCase(),
}
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Counts by client address: IPv4 as it is, IPv6 by network. */
export function byIp<Request = unknown>(options: IpOptions = {}): KeyFunction<Request> {
  const { trust: input, ipv6 } = ownOptions(options, ['trust', 'ipv6'])
  const bits = ipv6 === undefined ? undefined : readIpv6Prefix(ipv6, 'ipv6')
  const trust = input === undefined ? undefined : readTrust(input, 'trust')
  return (request, context) => {
    const client = context.client(request, trust)
    // An IPv4 address is its own key.
    return client?.includes(':') ? addressKey(client, bits) : client
  }
}

/**
 * Counts by user id, where `id` finds one: `byUser((req) => req.user?.id)`.
 *
 * The keys start with `user:`, so that a user named like an address is not counted as that address. Return the
 * text that finds the account, `String(req.body.email ?? '')`: a field of a body may be an array, which is no key
 * and would count by address.
 */
export function byUser<Request>(
  id: (request: Request) => Key | PromiseLike<Key>,
  options: SpellingOptions = {},
): KeyFunction<Request> {
  if (typeof id !== 'function') {
    throw invalid(TypeError, 'INVALID_ARGUMENT', 'byUser', 'given a function of the request', id)
  }
  const spell = readSpelling(options)
  return (request) => andThen(toPromise(id(request)), (found) => prefixed('user:', spell, found))
}

/**
 * Counts by a header, where a request has it. The header must be set by your proxy: a client that can write it
 * gets a new limit with each value, also within `firstOf` and `allOf`. So look an API key up, and count by what
 * was found: `byUser((req) => customers.get(req.headers['x-api-key']))`.
 */
export function byHeader<Request = unknown>(
  name: string,
  options: SpellingOptions = {},
): KeyFunction<Request> {
  if (typeof name !== 'string' || !TOKEN.test(name)) {
    throw invalid(TypeError, 'INVALID_ARGUMENT', 'byHeader', "given a header's name", name)
  }
  const header = name.toLowerCase()
  const spell = readSpelling(options)
  return (request, context) => prefixed(`header:${header}:`, spell, context.header(request, header))
}

/** Counts by the first of these that finds a key: `firstOf(byUser(id), byIp())` for users by id, guests by address. */
export function firstOf<Request>(...sources: KeyFunction<Request>[]): KeyFunction<Request> {
  checkSources('firstOf', sources)
  const none = (): MaybePromise<Key> => undefined
  return sources.reduceRight<(request: Request, context: KeyContext<Request>) => MaybePromise<Key>>(
    (next, source) => (request, context) =>
      andThen(toPromise(source(request, context)), (key) =>
        isNone(key) ? next(request, context) : key,
      ),
    none,
  )
}

/**
 * Counts by all of these together, such as a user on a device. No key if one of them finds none.
 *
 * Each part is preceded by its length, so that `a:b` and `c` have another key than `a` and `b:c`.
 */
export function allOf<Request>(...sources: KeyFunction<Request>[]): KeyFunction<Request> {
  checkSources('allOf', sources)
  return (request, context) => {
    const parts = sources.map((source) => attempt(source, request, context))
    return andThenAll(parts, joined)
  }
}

/** Turns a throw into a rejection: thrown on, it would leave rejections of other parts unhandled. */
function attempt<Request>(
  source: KeyFunction<Request>,
  request: Request,
  context: KeyContext<Request>,
): MaybePromise<Key> {
  try {
    return toPromise(source(request, context))
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Whether a key function found no key. */
export function isNone(key: unknown): key is undefined | null | '' {
  return key === undefined || key === null || key === ''
}

function joined(parts: readonly Key[]): Key {
  if (parts.some(isNone)) return undefined
  return parts.map((part) => `${String(part).length}:${String(part)}`).join('')
}

function prefixed(prefix: string, spell: (text: string) => string, found: Key): Key {
  if (isNone(found)) return undefined
  if (typeof found !== 'string') return Number.isSafeInteger(found) ? `${prefix}${found}` : found
  const spelt = spell(found)
  return spelt === '' ? undefined : prefix + spelt
}

function readSpelling(options: SpellingOptions): (text: string) => string {
  const { normalize = 'none' } = ownOptions(options, ['normalize'])
  return SPELLINGS[oneOf(normalize, 'normalize', ['none', 'trim-lower', 'nfkc-lower'])]
}

function checkSources(name: string, sources: readonly unknown[]): void {
  const wrong = sources.find((source) => typeof source !== 'function')
  if (wrong !== undefined || sources.length === 0) {
    throw invalid(TypeError, 'INVALID_ARGUMENT', name, 'given key functions', wrong)
  }
}
