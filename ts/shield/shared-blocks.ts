import { Warnings } from '../http/events.ts'
import { isRedisStorage } from '../storage-url.ts'
import * as validate from '../validate.ts'
import { BlockExchange, type OwnBlocks } from './block-exchange.ts'

/** Where hosts share their blocks. */
export interface BlocksOptions {
  /** A URL of Redis, a client of ioredis, or the `storage` of a `RedisLimiter`. The shield has a connection of its own. */
  readonly storage: unknown
  /** Begins the name of every key in Redis. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
}

const ACCEPTED = 'an object { storage, keyPrefix }'

/** Checks option `blocks`. What is wrong with a prefix is found when it is opened. */
export function readBlocks(value: unknown, name: string): BlocksOptions {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, ACCEPTED, value)
  }
  const { storage, keyPrefix } = validate.ownOptions<{ storage?: unknown; keyPrefix?: string }>(
    value,
    ['storage', 'keyPrefix'],
  )
  if (isRedisStorage(storage, `${name}.storage`)) return { storage, keyPrefix }
  const accepted = 'a URL of Redis, a client of ioredis or a RedisStorage'
  throw validate.invalid(TypeError, 'INVALID_OPTION', `${name}.storage`, accepted, storage)
}

/** What a shield is made from, as far as it matters here. */
interface Settings {
  readonly sources: number
  readonly insistenceBlocks: readonly number[]
  readonly failureBlocks: readonly number[]
}

/** What is needed of the native shield. Written out: a public type must not name the addon. */
interface NativeBlocks {
  blocked_ms(ip: string): false | undefined
  block(ip: string, ms: number): undefined
  pardon(ip: string): false | undefined
  readonly wide: Float64Array
}

/** Shares the blocks of a shield from now on. The only way from the shield to Redis, which is loaded on demand. */
export function shareBlocks(
  { storage, keyPrefix }: BlocksOptions,
  name: string | undefined,
  native: NativeBlocks,
  { sources, insistenceBlocks, failureBlocks }: Settings,
): BlockExchange {
  const redis = require('../redis/block-list.js') as typeof import('../redis/block-list.ts')
  const list = new redis.RedisBlockList(storage, keyPrefix, name)
  const longestMs = Math.max(...insistenceBlocks, ...failureBlocks)
  return new BlockExchange(list, ownBlocks(native), { longestMs, sources }, new Warnings())
}

function ownBlocks(native: NativeBlocks): OwnBlocks {
  return {
    left: (source) => (native.blocked_ms(source) === undefined ? 0 : (native.wide[0] as number)),
    block: (source, ms) => {
      try {
        native.block(source, ms)
      } catch {
        // The table is full of blocked sources.
      }
    },
    pardon: (source) => {
      native.pardon(source)
    },
  }
}
