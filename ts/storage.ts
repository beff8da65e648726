import { mustBe } from './errors.ts'
import { notAvailable } from './options.ts'
import type { RedisClient, RedisStorage } from './redis/index.ts'

/** A URL of Redis, `redis+sentinel:` and `redis+cluster:` included. */
export type RedisUrl = `redis:${string}` | `rediss:${string}` | `redis${string}+${string}:${string}`

const REDIS = /^rediss?(\+(sentinel|cluster))?$/
const STORAGE =
  '"memory:", a URL with redis:, rediss:, redis+sentinel: or redis+cluster:, ' +
  'the storage of a RedisLimiter or a client of ioredis ("shared:" is to come)'

/**
 * Whether the state lives in Redis; if not, in memory.
 *
 * @param name of the option or setting, for the message
 * @throws TypeError, RangeError, or Error with code NOT_AVAILABLE, unless there is such a storage. A URL is
 * never shown: it may hold a password.
 */
export function isRedis(
  storage: unknown,
  name = 'storage',
): storage is RedisUrl | RedisStorage | RedisClient {
  if (storage === undefined) return false
  if (typeof storage === 'object' && storage !== null) return true
  if (typeof storage !== 'string') throw new TypeError(mustBe(name, STORAGE, storage))
  const [scheme = '', rest] = splitScheme(storage)
  if (REDIS.test(scheme)) return true
  if (scheme === 'shared') throw notAvailable(`${name}: "shared:"`, 'shared')
  if (scheme !== 'memory') {
    throw new RangeError(mustBe(name, STORAGE, `${scheme.slice(0, 16)}...`))
  }
  if (rest !== '' && rest !== '//') throw new RangeError(mustBe(name, STORAGE, 'memory:...'))
  return false
}

function splitScheme(storage: string): [string, string] {
  const colon = storage.indexOf(':')
  if (colon < 0) return [storage.toLowerCase(), '']
  return [storage.slice(0, colon).toLowerCase(), storage.slice(colon + 1)]
}
