import {
  LIMITER_OPTIONS,
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
} from '../options.ts'
import type { StoreListener } from '../remote/event.ts'
import { invalid, mustBe, ownOptions } from '../validate.ts'
import { isClient, type RedisClient } from './ioredis.ts'
import { REDIS_OPTIONS } from './option-names.ts'
import { type ResolvedSettings, readSettings } from './settings.ts'
import { type RedisStorage, storageOf } from './shared-connection.ts'

/** What decides while Redis does not. */
export type OnError =
  /** A native limiter in this process, with this process's share of the limits. */
  | 'local'
  /** Nothing: everything is admitted, without any bound. */
  | 'open'
  /** Nothing: everything is denied. */
  | 'closed'

/** Units taken from Redis ahead of need. */
export interface LeaseOptions {
  /** Most units of a key that a process holds at once: 1 to 1,000,000. */
  readonly size: number
  /** Longest a process holds them: `'1 second'`, or milliseconds. Default: 1 second. */
  readonly ttl?: string | number | undefined
}

/** Options of a limiter whose counters live in Redis, but for where. */
export interface RedisOptions extends RateLimiterOptions {
  /** Begins the name of every key in Redis: at most 256 characters, no braces. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
  /** What decides while Redis does not. Default: `'local'`. */
  readonly onError?: OnError | undefined
  /**
   * Longest a decision takes once there was a connection, in milliseconds, whatever happens to Redis: 1 to
   * 60,000. Default: 50.
   */
  readonly deadlineMs?: number | undefined
  /**
   * Longest a decision waits for the first connection of the process, in milliseconds: 1 to 60,000.
   * Default: 2,000. Afterwards `deadlineMs` holds. As many calls wait as `maxWaitersPerKey` and `maxWaiters` let.
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Whether a denied key is denied without asking Redis again, until the time that Redis named, but for at
   * most 30 seconds; or for how long at most. Another process's refund or reset of the key is seen no later
   * than that. Default: true.
   */
  readonly localDenials?: boolean | string | number | undefined
  /** Takes units from Redis in batches, so that most checks ask nobody. Default: off. */
  readonly lease?: LeaseOptions | undefined
  /**
   * Processes that share the limits, for `onError: 'local'`. Default: as many as were seen alive while
   * Redis answered, 1 if it never has.
   */
  readonly processes?: number | undefined
  /** Is told when Redis stops or begins to decide. */
  readonly onStoreChange?: StoreListener | undefined
}

/** Options of a `RedisLimiter`. Exactly one of `url`, `client` and `storage` says where Redis is. */
export interface RedisLimiterOptions extends RedisOptions {
  /**
   * `redis:`, `rediss:`, `redis+sentinel:`, `redis+cluster:` or `redis+unix:`, or each with `valkey` in place of
   * `redis`. A secret: never printed.
   */
  readonly url?: string | undefined
  /** A client of ioredis, `Redis` or `Cluster`; what is used is a copy of its connection. */
  readonly client?: RedisClient | undefined
  /** Another limiter's `storage`, to share its connection. */
  readonly storage?: RedisStorage | string | RedisClient | undefined
}

/** Options with every default filled in. */
export interface ResolvedRedisOptions extends ResolvedOptions, ResolvedSettings {
  readonly storage: RedisStorage
}

const WHERE = ['url', 'client', 'storage']

/** Checks options and fills in the defaults. Each is read once; unknown ones are refused. */
export function resolveRedisOptions(options: RedisLimiterOptions): ResolvedRedisOptions {
  const own = ownOptions(options, [...LIMITER_OPTIONS, ...REDIS_OPTIONS, ...WHERE])
  if (own.shared !== undefined && own.shared !== false) {
    throw new TypeError('shared is for processes of one host: it excludes a storage in Redis')
  }
  return {
    ...resolveOptions(without(own, [...REDIS_OPTIONS, ...WHERE])),
    ...readSettings(own),
    storage: readStorage(own),
  }
}

function without<T extends object>(options: T, names: readonly string[]): RateLimiterOptions {
  const rest = Object.entries(options).filter(([name]) => !names.includes(name))
  return Object.fromEntries(rest)
}

function readStorage({ url, client, storage }: RedisLimiterOptions): RedisStorage {
  const given = [url, client, storage].filter((where) => where !== undefined)
  if (given.length !== 1) {
    throw new TypeError(`one of url, client and storage must be given, not ${given.length} of them`)
  }
  // Shown by its type only: it may be a URL with a password in it.
  if (url !== undefined && typeof url !== 'string')
    throw new TypeError(mustBe('url', 'a text', url))
  if (client !== undefined && !isClient(client)) {
    const accepted = 'a client of ioredis (not a mock of one)'
    throw invalid(TypeError, 'INVALID_OPTION', 'client', accepted, client)
  }
  return storageOf(given[0])
}
