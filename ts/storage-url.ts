import { hashText } from './key-hash.ts'
import type { Limiter } from './limiter.ts'
import type { RedisClient, RedisStorage } from './redis/index.ts'
import { isRedisScheme } from './redis/url.ts'
import type { Store } from './remote/store.ts'
import { invalid, withCode } from './validate.ts'

type Server = 'redis' | 'valkey'

/** A URL of Redis or Valkey: one server, Sentinel, a cluster, each also over TLS, or a Unix socket. */
export type RedisUrl =
  | `${Server}${'' | 's'}${'' | '+sentinel' | '+cluster'}:${string}`
  | `${Server}+unix:${string}`

const STORAGE =
  '"memory:", "shared:" and a name, a URL with redis:, rediss:, redis+sentinel:, redis+cluster: or ' +
  'redis+unix:, or valkey: in place of redis:, ' +
  'the storage of a RedisLimiter, a client of ioredis, ' +
  'a store with get and compareAndSet, or a limiter such as a RateLimiter'
const MAX_SHARED_NAME_LENGTH = 80
const MAX_NAME_LENGTH = 128

/** What a client of ioredis has, and a `RedisStorage`. Their modules are loaded for those who use them only. */
const CLIENT_METHODS = ['duplicate', 'evalsha']
const STORAGE_METHODS = ['acquire', 'release']
/** What a limiter has that is passed as a storage. */
const LIMITER_METHODS = ['check', 'peek', 'take', 'refund', 'block', 'reset', 'wait', 'delay']

/** Whether it is a {@link Store}. */
export function isStore(storage: unknown): storage is Store {
  return hasMethods(storage, ['get', 'compareAndSet'])
}

/** Whether it is a limiter, which has limits of its own. */
export function isLimiter(storage: unknown): storage is Limiter {
  return hasMethods(storage, LIMITER_METHODS) && Array.isArray((storage as Limiter).limits)
}

/** Whether processes on other hosts may share the state. */
export function isRemote(storage: unknown): boolean {
  return isRedisStorage(storage) || isStore(storage)
}

/**
 * Whether the state lives in Redis.
 *
 * @param name of the option or setting, for the message
 * @throws TypeError or RangeError unless it is a storage. A URL is never shown: it may hold a password.
 */
export function isRedisStorage(
  storage: unknown,
  name = 'storage',
): storage is RedisUrl | RedisStorage | RedisClient {
  if (storage === undefined) return false
  if (hasMethods(storage, CLIENT_METHODS) || hasMethods(storage, STORAGE_METHODS)) return true
  if (isStore(storage) || isLimiter(storage)) return false
  if (typeof storage !== 'string')
    throw invalid(TypeError, 'INVALID_OPTION', name, STORAGE, storage)
  const [scheme, rest] = splitScheme(storage)
  if (isRedisScheme(scheme)) return true
  if (scheme === 'shared') return checkSharedName(rest, name)
  if (scheme !== 'memory') {
    const message = `${name} must be ${STORAGE}, got ${withoutSecrets(scheme, rest)}`
    throw withCode(new RangeError(message), 'INVALID_OPTION')
  }
  if (rest === '' || rest === '//') return false
  throw invalid(RangeError, 'INVALID_OPTION', name, STORAGE, 'memory:...')
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** The scheme of a URL; nothing of any other text, which may be a password that was meant for another setting. */
function withoutSecrets(scheme: string, rest: string): string {
  const isUrl = rest.startsWith('//') && /^[a-z][a-z+.-]{0,15}$/.test(scheme)
  return isUrl
    ? `"${scheme}:..."`
    : 'a text without any of these (it is not shown, as it may hold a password)'
}

/** The name in `shared:name`; undefined where processes do not share the state. */
export function sharedName(storage: unknown): string | undefined {
  if (typeof storage !== 'string') return undefined
  const [scheme, rest] = splitScheme(storage)
  return scheme === 'shared' ? withoutSlashes(rest) : undefined
}

/** The name of one of several limiters in one shared storage. */
export function qualifiedName(shared: string, name: string | undefined): string {
  if (name === undefined) return shared
  const whole = `${shared} ${name}`
  return whole.length <= MAX_NAME_LENGTH ? whole : `${shared} ${hashText(name)}`
}

function checkSharedName(rest: string, name: string): false {
  const shared = withoutSlashes(rest)
  if (shared !== '' && shared.length <= MAX_SHARED_NAME_LENGTH && shared.isWellFormed())
    return false
  const accepted = `"shared:" and a name of 1 to ${MAX_SHARED_NAME_LENGTH} characters, such as "shared:api"`
  const shown = shared === '' ? 'shared:' : 'shared:...'
  throw invalid(RangeError, 'INVALID_OPTION', name, accepted, shown)
}

/** Without the slashes that URLs have behind the scheme. */
function withoutSlashes(rest: string): string {
  return rest.startsWith('//') ? rest.slice(2) : rest
}

function splitScheme(storage: string): [scheme: string, rest: string] {
  const colon = storage.indexOf(':')
  if (colon < 0) return [storage.toLowerCase(), '']
  return [storage.slice(0, colon).toLowerCase(), storage.slice(colon + 1)]
}
