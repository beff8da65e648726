import {
  REMOTE_OPTIONS,
  type RemoteOptions,
  type RemoteSettings,
  readRemoteSettings,
} from '../remote/options.ts'
import type { RedisClient } from './ioredis.ts'
import { readPrefix } from './key.ts'
import type { RedisStorage } from './shared-connection.ts'

/*
 * Nothing here loads what talks to Redis: adapters check these options wherever the counters live.
 */

/** Options of a limiter whose counters live in Redis, except where Redis is. */
export interface RedisOptions extends RemoteOptions {
  /** Begins the name of every key in Redis: at most 256 characters, no braces. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
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

/** Names of the options that a limiter in Redis has beside those of every limiter, except where Redis is. */
export const REDIS_OPTIONS: readonly string[] = ['keyPrefix', ...REMOTE_OPTIONS]

/** What {@link RedisOptions} add to the options of every limiter, with every default filled in. */
export interface RedisSettings extends RemoteSettings {
  readonly keyPrefix: string
}

/**
 * Checks these options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function readSettings(options: RedisOptions): RedisSettings {
  return { keyPrefix: readPrefix(options.keyPrefix), ...readRemoteSettings(options) }
}
