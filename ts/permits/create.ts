import type { RedisClient, RedisStorage } from '../redis/index.ts'
import type { RemotePermitsOptions } from '../remote/permits/options.ts'
import type { Store } from '../remote/store.ts'
import {
  isLimiter,
  isRedisStorage,
  isStore,
  qualifiedName,
  SETTINGS,
  type Settings,
  sharedName,
  withSettings,
} from '../storage-url.ts'
import * as validate from '../validate.ts'
import { ConcurrencyLimiter } from './concurrency-limiter.ts'
import {
  CONCURRENCY_OPTIONS,
  type ConcurrencyOptions,
  OF_STORE,
  readConcurrencyLimits,
} from './options.ts'
import { refuseTry } from './refuse-try.ts'
import type { AsyncConcurrencyLimiter, ConcurrencyLimits } from './types.ts'

/** Options of {@link createConcurrencyLimiter}: the limits, how callers wait, and where the permits are counted. */
export interface CreateConcurrencyOptions
  extends ConcurrencyLimits,
    Omit<ConcurrencyOptions, 'shared'>,
    RemotePermitsOptions,
    Settings {
  /**
   * Where permits are counted: `'memory:'`, in this process; `'shared:name'`, in all processes of this user on this host; a
   * URL of Redis, a client of ioredis or another limiter's `storage`; a store with `get` and `compareAndSet`; or a limiter,
   * for the place where it counts. Default: the setting RATELIMIT_STORAGE_URL of the environment, else `'memory:'`.
   */
  readonly storage?: string | RedisStorage | RedisClient | Store | object | undefined
}

const HERE = CONCURRENCY_OPTIONS.filter((name) => name !== 'shared')
const KNOWN = ['perKey', 'total', 'storage', 'keyPrefix', ...HERE, ...OF_STORE, ...SETTINGS]

/**
 * Limits how many callers are inside at a time, wherever the permits are counted.
 *
 * ```ts
 * const uploads = createConcurrencyLimiter({ perKey: 4, queue: 16, storage: 'redis://127.0.0.1:6379/0' })
 * using permit = await uploads.acquire('user:42')
 * ```
 *
 * @throws TypeError or RangeError that names the option and what is accepted; Error with code MISSING_IOREDIS, or with a
 * code of the tier `shared`: see docs/reference/errors.md
 */
export function createConcurrencyLimiter(options: CreateConcurrencyOptions): AsyncConcurrencyLimiter
export function createConcurrencyLimiter(
  options: CreateConcurrencyOptions,
  ...more: readonly unknown[]
): AsyncConcurrencyLimiter {
  if (more.some((one) => one !== undefined)) {
    const message =
      'createConcurrencyLimiter must be given all options in one object, as in createConcurrencyLimiter({ perKey: 4, queue: 16 }), got a second argument'
    throw validate.withCode(new TypeError(message), 'INVALID_OPTION')
  }
  const own = validate.ownOptions(options, KNOWN)
  const { headers: _headers, algorithm: _algorithm, ...read } = withSettings(own)
  const { perKey, total, storage, ...rest } = read as CreateConcurrencyOptions
  if (perKey === undefined && total === undefined) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'perKey or total', 'a number', undefined)
  }
  const limits = readConcurrencyLimits({ perKey, total })
  const opened = openAnywhere(limits, storage, rest)
  return opened instanceof ConcurrencyLimiter ? toAsync(opened) : opened
}

/** Opens permits where the storage says. */
export function openAnywhere(
  limits: ConcurrencyLimits,
  given: unknown,
  options: Omit<ConcurrencyOptions, 'shared'> & RemotePermitsOptions,
): ConcurrencyLimiter | AsyncConcurrencyLimiter {
  // Permits are counted where the limiter counts.
  const storage = storageOf(given)
  const isRedis = isRedisStorage(storage)
  if (isRedis || isStore(storage)) {
    const { clock, ...rest } = options
    if (clock !== undefined) throw notHere('clock', 'absent: the clock of the store decides', clock)
    return isRedis
      ? redis().openRedisPermits(limits, storage, rest)
      : inStore(limits, storage, rest)
  }
  const { keyPrefix = '', name, ...more } = options
  for (const one of OF_STORE) {
    const value = more[one as keyof typeof more]
    if (value !== undefined) throw notHere(one, 'absent where the permits are in no store', value)
  }
  const local = Object.fromEntries(Object.entries(more).filter(([one]) => !OF_STORE.includes(one)))
  const named = name === undefined ? undefined : `${keyPrefix}${name}`
  const shared = sharedName(storage)
  if (shared === undefined) return new ConcurrencyLimiter(limits, { ...local, name: named })
  const sharing = { name: qualifiedName(shared, named), shared: true }
  return new ConcurrencyLimiter(limits, { ...local, ...sharing })
}

/** The storage, or where a limiter that is passed as one has its counters. */
export function storageOf(limiter: unknown): unknown {
  if (!isLimiter(limiter)) return limiter
  const { storage } = limiter as { readonly storage?: unknown }
  if (storage !== undefined) return storage
  const accepted = 'a limiter with a storage, for permits beside its limits'
  throw validate.invalid(TypeError, 'INVALID_OPTION', 'storage', accepted, limiter)
}

function notHere(name: string, accepted: string, value: unknown): Error {
  return validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
}

/** A limiter of this process or host, with the methods of one in a store. */
function toAsync(limiter: ConcurrencyLimiter): AsyncConcurrencyLimiter {
  const methods: AsyncConcurrencyLimiter = {
    limits: limiter.limits,
    take: async (key) => limiter.take(key),
    enter: async (key, signal) => limiter.enter(key, signal),
    acquire: (key, options) => limiter.acquire(key, options),
    held: async (key) => limiter.held(key),
    stats: () => limiter.stats(),
    ready: () => limiter.ready(),
    close: async () => limiter.close(),
  }
  refuseTry(methods)
  return methods
}

/** Loaded on demand: a process that counts in memory never loads what talks to Redis. */
function redis(): typeof import('../redis/permits.ts') {
  return require('../redis/permits.js') as typeof import('../redis/permits.ts')
}

function inStore(
  limits: ConcurrencyLimits,
  store: Store,
  options: RemotePermitsOptions,
): AsyncConcurrencyLimiter {
  const remote =
    require('../remote/permits/store.js') as typeof import('../remote/permits/store.ts')
  return remote.openStorePermits(limits, store, options)
}
