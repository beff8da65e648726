import { hashText } from './key-hash.ts'
import type { RedisClient, RedisStorage } from './redis/index.ts'
import { isRedisScheme } from './redis/url.ts'
import { mustBe } from './validate.ts'

type Server = 'redis' | 'valkey'

/** A URL of Redis or Valkey: one server, Sentinel, a cluster, each also over TLS, or a Unix socket. */
export type RedisUrl =
  | `${Server}${'' | 's'}${'' | '+sentinel' | '+cluster'}:${string}`
  | `${Server}+unix:${string}`

const STORAGE =
  '"memory:", "shared:" and a name, a URL with redis:, rediss:, redis+sentinel:, redis+cluster: or ' +
  'redis+unix:, or valkey: in place of redis:, ' +
  'the storage of a RedisLimiter or a client of ioredis'
const MAX_SPACE_LENGTH = 80
const MAX_NAME_LENGTH = 128

/**
 * Whether the state lives in Redis; if not, in memory.
 *
 * @param name of the option or setting, for the message
 * @throws TypeError or RangeError unless there is such a storage. A URL is never shown: it may hold a password.
 */
export function isRedis(
  storage: unknown,
  name = 'storage',
): storage is RedisUrl | RedisStorage | RedisClient {
  if (storage === undefined) return false
  if (typeof storage === 'object' && storage !== null) return true
  if (typeof storage !== 'string') throw new TypeError(mustBe(name, STORAGE, storage))
  const [scheme = '', rest] = splitScheme(storage)
  if (isRedisScheme(scheme)) return true
  if (scheme === 'shared') return checkSpace(rest, name)
  if (scheme !== 'memory') {
    throw new RangeError(`${name} must be ${STORAGE}, got ${withoutSecrets(scheme, rest)}`)
  }
  if (rest !== '' && rest !== '//') throw new RangeError(mustBe(name, STORAGE, 'memory:...'))
  return false
}

/** Of a URL its scheme; nothing of any other text: it may be a password that was meant to go elsewhere. */
function withoutSecrets(scheme: string, rest: string): string {
  const isUrl = rest.startsWith('//') && /^[a-z][a-z+.-]{0,15}$/.test(scheme)
  return isUrl
    ? `"${scheme}:..."`
    : 'a text without any of these (it is not shown, as it may hold a password)'
}

/** The name in `shared:name`; nothing where the state is not shared by processes. */
export function sharedSpace(storage: unknown): string | undefined {
  if (typeof storage !== 'string') return undefined
  const [scheme, rest] = splitScheme(storage)
  return scheme === 'shared' ? withoutSlashes(rest) : undefined
}

/** The name of one of several limiters that are shared in one storage. */
export function nameIn(space: string, name: string | undefined): string {
  if (name === undefined) return space
  const whole = `${space} ${name}`
  if (whole.length <= MAX_NAME_LENGTH) return whole
  return `${space} ${hashText(name)}`
}

function checkSpace(rest: string, name: string): false {
  const space = withoutSlashes(rest)
  if (space !== '' && space.length <= MAX_SPACE_LENGTH && space.isWellFormed()) return false
  const accepted = `"shared:" and a name of 1 to ${MAX_SPACE_LENGTH} characters, such as "shared:api"`
  throw new RangeError(mustBe(name, accepted, space === '' ? 'shared:' : 'shared:...'))
}

/** As in a URL. */
function withoutSlashes(rest: string): string {
  return rest.startsWith('//') ? rest.slice(2) : rest
}

function splitScheme(storage: string): [string, string] {
  const colon = storage.indexOf(':')
  if (colon < 0) return [storage.toLowerCase(), '']
  return [storage.slice(0, colon).toLowerCase(), storage.slice(colon + 1)]
}
