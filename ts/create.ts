import { mustBe } from './errors.ts'
import type { Limit, LimitInput } from './limit/limit.ts'
import type { CheckedLimits } from './limit/literal.ts'
import { RateLimiter } from './limiter.ts'
import { LIMITER_OPTIONS, notAvailable, ownOptions, type RateLimiterOptions } from './options.ts'
import type { RedisClient, RedisLimiter, RedisOptions, RedisStorage } from './redis/index.ts'
import { REDIS_OPTIONS } from './redis/names.ts'
import type { Tier } from './tier.ts'

/** Options of {@link createLimiter}: those of a limiter, its limits, and where its state lives. */
export interface CreateLimiterOptions<L extends LimitInput = LimitInput>
  extends RateLimiterOptions {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /** Where the state lives: `'memory:'`, in this process. Default: `'memory:'`. */
  readonly storage?: string | undefined
}

/** A URL of Redis, `redis+sentinel:` and `redis+cluster:` included. */
export type RedisUrl = `redis:${string}` | `rediss:${string}` | `redis${string}+${string}:${string}`

/** Options of {@link createLimiter} for a state in Redis. */
export interface CreateRedisLimiterOptions<L extends LimitInput = LimitInput> extends RedisOptions {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /** A URL, another limiter's `storage`, or a client of ioredis. */
  readonly storage: RedisUrl | RedisStorage | RedisClient
}

/** Options of {@link openTier}: those of a limiter, and where its state lives. */
export interface OpenTierOptions extends RateLimiterOptions {
  readonly storage?: unknown
  readonly keyPrefix?: unknown
  readonly onError?: unknown
}

const KNOWN = ['limits', 'storage', ...LIMITER_OPTIONS, ...REDIS_OPTIONS]
const REDIS = /^rediss?(\+(sentinel|cluster))?$/
const STORAGE =
  '"memory:", a URL with redis:, rediss:, redis+sentinel: or redis+cluster:, ' +
  'the storage of a RedisLimiter or a client of ioredis ("shared:" is to come)'

/**
 * Makes a limiter from plain data, such as a configuration file.
 *
 * @throws Error with code NOT_AVAILABLE for a tier that this version does not have; MISSING_IOREDIS for one
 * in Redis where the package ioredis is not installed
 */
export function createLimiter<const L extends LimitInput>(
  options: CreateRedisLimiterOptions<L>,
): RedisLimiter<L>
export function createLimiter<const L extends LimitInput>(
  options: CreateLimiterOptions<L>,
): RateLimiter<L>
export function createLimiter(
  options: CreateLimiterOptions | CreateRedisLimiterOptions,
): RateLimiter | RedisLimiter {
  const own = ownOptions(options, KNOWN)
  const { limits, storage, ...rest } = own
  if (isRedis(storage)) return openInRedis(limits as LimitInput, storage, rest)
  const forRedis = Object.keys(rest).find((name) => REDIS_OPTIONS.includes(name))
  if (forRedis === undefined) return new RateLimiter(limits as LimitInput, rest)
  throw new TypeError(`option "${forRedis}" is for a storage in Redis`)
}

/** Opens counters wherever the storage says. For adapters, which do not know which tier they talk to. */
export function openTier(limits: readonly Limit[], options: OpenTierOptions): Tier {
  const { storage, keyPrefix, onError, ...rest } = options
  if (!isRedis(storage)) return new RateLimiter(limits, rest)
  return openInRedis(limits, storage, { ...rest, keyPrefix, onError } as RedisOptions)
}

/** Whoever keeps counters in memory never loads what talks to Redis. */
function openInRedis(limits: LimitInput, storage: object | string, options: object): RedisLimiter {
  const redis = require('./redis/limiter.js') as typeof import('./redis/limiter.ts')
  return new redis.RedisLimiter(limits, { ...options, storage: storage as RedisStorage })
}

/**
 * Whether the state lives in Redis; if not, in memory.
 *
 * @throws TypeError or RangeError for anything that is no storage. A URL is never shown: it may hold a
 * password.
 */
function isRedis(storage: unknown): storage is RedisUrl | RedisStorage | RedisClient {
  if (storage === undefined) return false
  if (typeof storage === 'object' && storage !== null) return true
  if (typeof storage !== 'string') throw new TypeError(mustBe('storage', STORAGE, storage))
  const [scheme = '', rest] = splitScheme(storage)
  if (REDIS.test(scheme)) return true
  if (scheme === 'shared') throw notAvailable('storage: "shared:"', 'shared')
  if (scheme !== 'memory') {
    throw new RangeError(mustBe('storage', STORAGE, `${scheme.slice(0, 16)}...`))
  }
  if (rest !== '' && rest !== '//') throw new RangeError(mustBe('storage', STORAGE, 'memory:...'))
  return false
}

function splitScheme(storage: string): [string, string] {
  const colon = storage.indexOf(':')
  if (colon < 0) return [storage.toLowerCase(), '']
  return [storage.slice(0, colon).toLowerCase(), storage.slice(colon + 1)]
}
