import { type ResolvedRemoteOptions, resolveRemoteOptions } from '../remote/options.ts'
import { invalid } from '../validate.ts'
import { isClient } from './ioredis.ts'
import { readPrefix } from './key.ts'
import type { RedisLimiterOptions } from './options.ts'
import { type RedisStorage, storageOf } from './shared-connection.ts'

/** Options with every default filled in. */
export interface ResolvedRedisOptions extends ResolvedRemoteOptions {
  readonly keyPrefix: string
  readonly storage: RedisStorage
}

/** Checks options and fills in the defaults. Each is read once; unknown ones are refused. */
export function resolveRedisOptions(options: RedisLimiterOptions): ResolvedRedisOptions {
  const others = ['keyPrefix', 'url', 'client', 'storage']
  const resolved = resolveRemoteOptions(options, others)
  const { keyPrefix, ...where } = options
  return { ...resolved, keyPrefix: readPrefix(keyPrefix), storage: readStorage(where) }
}

function readStorage({ url, client, storage }: RedisLimiterOptions): RedisStorage {
  const given = [url, client, storage].filter((where) => where !== undefined)
  if (given.length !== 1) {
    const message = `exactly one of url, client and storage must be given, got ${given.length}`
    throw Object.assign(new TypeError(message), { code: 'INVALID_OPTION' })
  }
  // Shown by its type only: it may be a URL with a password in it.
  if (url !== undefined && typeof url !== 'string') {
    throw invalid(TypeError, 'INVALID_OPTION', 'url', 'a text', url)
  }
  if (client !== undefined && !isClient(client)) {
    const accepted = 'a client of ioredis (not a mock of one)'
    throw invalid(TypeError, 'INVALID_OPTION', 'client', accepted, client)
  }
  return storageOf(given[0])
}
