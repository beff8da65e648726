import { type AsyncLimiter, AsyncRateLimiter } from './async-limiter.ts'
import type { Limit, LimitInput } from './limit/limit.ts'
import type { CheckedLimits } from './limit/literal.ts'
import type { Limiter } from './limiter.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions } from './options.ts'
import { RateLimiter } from './rate-limiter.ts'
import type { RedisClient, RedisLimiter, RedisOptions, RedisStorage } from './redis/index.ts'
import { REDIS_OPTIONS } from './redis/options.ts'
import { SETTINGS, type Settings, withSettings } from './settings.ts'
import { isRedis, nameIn, type RedisUrl, sharedSpace } from './storage-url.ts'
import { ownOptions } from './validate.ts'
import { NativeVariableLimiter } from './variable/native.ts'
import type { VariableLimiter } from './variable/variable.ts'

/** Options of {@link createLimiter}: those of a limiter, its limits, and where its state lives. */
export interface CreateLimiterOptions<L extends LimitInput = LimitInput>
  extends RateLimiterOptions,
    Settings {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /**
   * Where the state lives: `'memory:'`, in this process, or `'shared:name'`, common to all processes of this
   * user on this host. Default: the setting RATELIMIT_STORAGE_URL of the environment, else `'memory:'`. A text
   * that is known at run time only may also be a URL of Redis.
   */
  readonly storage?: string | undefined
}

/** Options of {@link createLimiter} for a state in Redis. */
export interface CreateRedisLimiterOptions<L extends LimitInput = LimitInput>
  extends RedisOptions,
    Settings {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /** A URL, another limiter's `storage`, or a client of ioredis. */
  readonly storage: RedisUrl | RedisStorage | RedisClient
}

/** Options of {@link openTier}: those of a limiter, and where its state lives. */
export interface OpenTierOptions extends RateLimiterOptions {
  readonly storage?: unknown
  /** Those of a limiter in Redis; in memory they mean nothing, but for the prefix. */
  readonly forRedis: Omit<RedisOptions, keyof RateLimiterOptions>
  /** Stands in for a name in a store that others use too. */
  readonly identity: string
}

const KNOWN = ['limits', 'storage', ...LIMITER_OPTIONS, ...REDIS_OPTIONS, ...SETTINGS]

/**
 * Makes a limiter from plain data, such as a configuration file. Its counters live where `storage` says, or
 * the setting RATELIMIT_STORAGE_URL of the environment; it is asked in one way wherever that is.
 *
 * ```ts
 * const limiter = createLimiter({ limits: '100/minute', storage: 'redis://127.0.0.1:6379/0' })
 * await limiter.ready()
 * if (!(await limiter.check('user:42')).allowed) refuse()
 * ```
 *
 * @throws InvalidLimit, TypeError or RangeError naming the option and what is accepted; Error with code MISSING_IOREDIS for a state in Redis where the package ioredis is not installed; for
 * a shared one with a code of docs/reference/errors.md
 */
export function createLimiter<const L extends LimitInput>(
  options: CreateRedisLimiterOptions<L>,
): RedisLimiter<L>
export function createLimiter<const L extends LimitInput>(
  options: CreateLimiterOptions<L>,
): AsyncLimiter
export function createLimiter(
  options: CreateLimiterOptions | CreateRedisLimiterOptions,
): AsyncLimiter {
  const own = ownOptions(options, KNOWN)
  const { limits, storage, headers: _headers, ...rest } = withSettings(own)
  if (isRedis(storage)) return openInRedis(limits as LimitInput, storage, rest)
  const forRedis = Object.keys(own).find((name) => REDIS_OPTIONS.includes(name))
  if (forRedis !== undefined) {
    throw new TypeError(`option "${forRedis}" is for a storage in Redis`)
  }
  return new AsyncRateLimiter(openOnHost(limits as LimitInput, storage, rest as RateLimiterOptions))
}

/** Opens counters wherever the storage says. For adapters, which do not know which tier they talk to. */
export function openTier(limits: readonly Limit[], options: OpenTierOptions): Limiter {
  const { storage, forRedis, identity, ...rest } = options
  const { keyPrefix } = forRedis
  if (isRedis(storage)) {
    return openInRedis(limits, storage, { ...rest, ...forRedis, name: rest.name ?? identity })
  }
  const isShared = sharedSpace(storage) !== undefined
  const name = isShared ? (rest.name ?? identity) : rest.name
  return openOnHost(limits, storage, { ...rest, name, keyPrefix })
}

/**
 * Opens counters for limits that change from one call to the next, wherever the storage says.
 *
 * @throws as a limiter with these options does, for any limits
 */
export function openVariable(options: OpenTierOptions): VariableLimiter {
  const { storage, forRedis, identity, ...rest } = options
  if (isRedis(storage)) {
    const redis = require('./redis/redis-limiter.js') as typeof import('./redis/redis-limiter.ts')
    const name = rest.name ?? identity
    return new redis.RedisVariableLimiter({
      ...rest,
      ...forRedis,
      name,
      storage: storage as RedisStorage,
    })
  }
  const { keyPrefix = '' } = forRedis
  const space = sharedSpace(storage)
  const base = space === undefined ? rest.name : (rest.name ?? identity)
  const name = base === undefined ? undefined : `${keyPrefix}${base}`
  if (space === undefined) return new NativeVariableLimiter({ ...rest, name })
  return new NativeVariableLimiter({ ...rest, name: nameIn(space, name), shared: true })
}

/** Whoever keeps counters in memory never loads what talks to Redis. */
function openInRedis(limits: LimitInput, storage: object | string, options: object): RedisLimiter {
  const redis = require('./redis/redis-limiter.js') as typeof import('./redis/redis-limiter.ts')
  return new redis.RedisLimiter(limits, { ...options, storage: storage as RedisStorage })
}

/** A prefix keeps apart what has one name: here limiters, in Redis their keys. */
function openOnHost<const L extends LimitInput>(
  limits: CheckedLimits<L>,
  storage: unknown,
  { keyPrefix = '', ...options }: RateLimiterOptions & { keyPrefix?: string | undefined },
): RateLimiter<L> {
  const { name } = options
  const prefixed = name === undefined ? undefined : `${keyPrefix}${name}`
  const space = sharedSpace(storage)
  if (space === undefined && storage !== undefined && options.shared === true) {
    throw new TypeError('shared: true excludes the storage "memory:"')
  }
  if (space === undefined) return new RateLimiter(limits, { ...options, name: prefixed })
  return new RateLimiter(limits, { ...options, name: nameIn(space, prefixed), shared: true })
}
