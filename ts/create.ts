import type { CheckedLimits, Limit, LimitInput } from './limit/limit.ts'
import { type AsyncLimiter, type Limiter, toAsync, type VariableLimiter } from './limiter.ts'
import { openVariableLimiter } from './native-limiter.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions } from './options.ts'
import { RateLimiter } from './rate-limiter.ts'
import type { RedisClient, RedisLimiter, RedisOptions, RedisStorage } from './redis/index.ts'
import { REDIS_OPTIONS } from './redis/key.ts'
import type { Store, StoreLimiter, StoreOptions } from './remote/store.ts'
import {
  isLimiter,
  isRedisStorage,
  isStore,
  qualifiedName,
  type RedisUrl,
  SETTINGS,
  type Settings,
  sharedName,
  withSettings,
} from './storage-url.ts'
import { invalid, ownOptions, withCode } from './validate.ts'

// For layers that know of stores only through this file.
export type { RedisOptions } from './redis/index.ts'
export { checkRedisOptions, REDIS_OPTIONS } from './redis/key.ts'
export { readOnError } from './remote/options.ts'

/** Options of {@link createLimiter}: those of a limiter, its limits, and where its state lives. */
export interface CreateLimiterOptions<L extends LimitInput = LimitInput>
  extends RateLimiterOptions,
    Settings {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /**
   * Where the state lives: `'memory:'`, in this process, or `'shared:name'`, common to all processes of this
   * user on this host. Default: the setting RATELIMIT_STORAGE_URL of the environment, else `'memory:'`. A string
   * that is not known before run time may also be a URL of Redis.
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

/** Options of {@link createLimiter} for a state in a store of yours. */
export interface CreateStoreLimiterOptions<L extends LimitInput = LimitInput>
  extends StoreOptions,
    Settings {
  /** One or several limits. */
  readonly limits: CheckedLimits<L>
  /** Anything that can compare and set. */
  readonly storage: Store
}

/** Options of {@link createLimiter} for a limiter that there is already: it has its own limits and options. */
export interface CreateFromLimiterOptions {
  readonly limits?: undefined
  readonly storage: RateLimiter | AsyncLimiter
}

/** Options of the limiters that an adapter makes: those of a limiter, and where its state lives. */
export interface AdapterLimiterOptions extends RateLimiterOptions {
  readonly storage?: unknown
  /** Options of a limiter in Redis. In memory only the prefix has a meaning. */
  readonly forRedis: Omit<RedisOptions, keyof RateLimiterOptions>
  /** The name of a limiter without one, in a store that other limiters use too. */
  readonly identity: string
}

const KNOWN = ['limits', 'storage', ...LIMITER_OPTIONS, ...REDIS_OPTIONS, ...SETTINGS]

/**
 * Makes a limiter from plain data, such as a configuration file. Its counters live where `storage` says, or
 * the setting RATELIMIT_STORAGE_URL of the environment. All calls are the same wherever that is.
 *
 * ```ts
 * const limiter = createLimiter({ limits: '100/minute', storage: 'redis://127.0.0.1:6379/0' })
 * await limiter.ready()
 * if (!(await limiter.check('user:42')).allowed) refuse()
 * ```
 *
 * @throws InvalidLimit, TypeError or RangeError that names the option and what is accepted; Error with code
 * MISSING_IOREDIS for a state in Redis where the package ioredis is not installed, or with a code of the tier
 * `shared`: see docs/reference/errors.md
 */
export function createLimiter<const L extends LimitInput>(
  options: CreateRedisLimiterOptions<L>,
): RedisLimiter<L>
export function createLimiter<const L extends LimitInput>(
  options: CreateStoreLimiterOptions<L>,
): StoreLimiter<L>
export function createLimiter<const L extends LimitInput>(
  options: CreateLimiterOptions<L> | CreateFromLimiterOptions,
): AsyncLimiter
export function createLimiter(options: object): AsyncLimiter {
  const own: object & { storage?: unknown } = ownOptions(options, KNOWN)
  if (isLimiter(own.storage)) return asAsync(own.storage, own)
  const { limits, storage, headers: _headers, ...rest } = withSettings(own as CreateLimiterOptions)
  if (isStore(storage)) return createInStore(limits as LimitInput, storage, rest)
  if (isRedisStorage(storage)) return createRedis(limits as LimitInput, storage, rest)
  const forRedis = Object.keys(own).find((name) => REDIS_OPTIONS.includes(name))
  if (forRedis !== undefined) {
    const message = `option "${forRedis}" requires a storage in Redis or a store`
    throw withCode(new TypeError(message), 'INVALID_OPTION')
  }
  const { keyPrefix, ...local } = rest as RateLimiterOptions & { keyPrefix?: string }
  return toAsync(new RateLimiter(limits as LimitInput, localOptions(storage, local, keyPrefix)))
}

/** Makes a limiter where the storage says. For adapters, which need not know where that is. */
export function createForAdapter(
  limits: readonly Limit[],
  { storage, forRedis, identity, ...rest }: AdapterLimiterOptions,
): Limiter {
  if (isLimiter(storage)) {
    if (limits !== storage.limits) throw notBeside('limits', limits)
    return storage
  }
  const named = { ...rest, name: rest.name ?? identity }
  if (isStore(storage)) return createInStore(limits, storage, { ...named, ...forRedis })
  if (isRedisStorage(storage)) return createRedis(limits, storage, { ...named, ...forRedis })
  const options = sharedName(storage) === undefined ? rest : named
  return new RateLimiter(limits, localOptions(storage, options, forRedis.keyPrefix))
}

/**
 * Makes a limiter whose limits change from one call to the next, where the storage says.
 *
 * @throws as a limiter with these options does, for any limits
 */
export function createVariable(options: AdapterLimiterOptions): VariableLimiter {
  const { storage, forRedis, identity, ...rest } = options
  if (isStore(storage) || isLimiter(storage)) {
    const accepted = 'fixed limits where the storage is a store or a limiter of yours'
    throw invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, () => {})
  }
  const named = { ...rest, name: rest.name ?? identity }
  if (isRedisStorage(storage)) {
    const at = storage as RedisStorage
    return new (redis().RedisVariableLimiter)({ ...named, ...forRedis, storage: at })
  }
  const local = sharedName(storage) === undefined ? rest : named
  return openVariableLimiter(localOptions(storage, local, forRedis.keyPrefix))
}

/** A limiter that there is already. Options beside it would mean nothing. */
function asAsync(limiter: Limiter, options: object): AsyncLimiter {
  for (const [name, value] of Object.entries(options)) {
    if (name !== 'storage' && !SETTINGS.includes(name)) throw notBeside(name, value)
  }
  // One without `ready` answers at once, or may.
  return limiter.ready === undefined ? toAsync(limiter as RateLimiter) : (limiter as AsyncLimiter)
}

function notBeside(name: string, value: unknown): Error {
  const accepted = 'absent where the storage is a limiter: it has its own'
  return invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
}

/** Loaded on demand, as what talks to Redis. */
function createInStore(limits: LimitInput, store: Store, options: object): StoreLimiter {
  const remote = require('./remote/store.js') as typeof import('./remote/store.ts')
  return new remote.StoreLimiter(limits, store, options)
}

function createRedis(limits: LimitInput, storage: object | string, options: object): RedisLimiter {
  return new (redis().RedisLimiter)(limits, { ...options, storage: storage as RedisStorage })
}

/** Loaded on demand: a process that counts in memory never loads what talks to Redis. */
function redis(): typeof import('./redis/redis-limiter.ts') {
  return require('./redis/redis-limiter.js') as typeof import('./redis/redis-limiter.ts')
}

/**
 * The options of a limiter of this host, with the name that `storage` and the prefix make. The prefix separates
 * limiters of one name, as in Redis it separates their keys.
 */
function localOptions(
  storage: unknown,
  options: RateLimiterOptions,
  keyPrefix = '',
): RateLimiterOptions {
  const name = options.name === undefined ? undefined : `${keyPrefix}${options.name}`
  const shared = sharedName(storage)
  if (shared !== undefined) return { ...options, name: qualifiedName(shared, name), shared: true }
  if (storage !== undefined && options.shared === true) {
    const accepted = '"shared:" and a name where shared is true'
    throw invalid(TypeError, 'INVALID_OPTION', 'storage', accepted, 'memory:')
  }
  return { ...options, name }
}
