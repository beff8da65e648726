import type { InsightInput } from '../counting.ts'
import {
  type AdapterLimiterOptions,
  checkRedisOptions,
  REDIS_OPTIONS,
  type RedisOptions,
} from '../create.ts'
import type { Limit, LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { type ConcurrentInput, type PermitsPlace, readConcurrent } from '../permits/open.ts'
import { SETTINGS, type Settings, withSettings } from '../storage-url.ts'
import * as validate from '../validate.ts'

/** Options that every protocol has: limits, permits, and where they are counted. */
export interface CallOptions
  extends Omit<RateLimiterOptions, 'shared'>,
    Omit<RedisOptions, keyof RateLimiterOptions>,
    Settings {
  /** One or several limits, of which all are charged or none. */
  readonly limits?: LimitInput | undefined
  /** How many calls of a client are served at a time. Default: no limit. */
  readonly concurrent?: ConcurrentInput | undefined
  /** Where all is counted, as option `storage` of `rateThrottle`. Default: `'memory:'`. */
  readonly storage?: string | object | undefined
  /** Where to count what the limits decide: what `insight()` returns. */
  readonly insight?: InsightInput | undefined
}

/** What the options ask for. */
export interface ReadCallOptions {
  readonly limits: readonly Limit[] | undefined
  readonly limiter: AdapterLimiterOptions
  readonly concurrent: Exclude<ConcurrentInput, number> | undefined
  readonly permits: PermitsPlace
}

const OF_LIMITER = LIMITER_OPTIONS.filter((name) => name !== 'shared')
const KNOWN = [
  ...new Set(['limits', 'concurrent', 'storage', ...OF_LIMITER, ...REDIS_OPTIONS, ...SETTINGS]),
]

/**
 * @param place what the limiter is called without a name
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function readCallOptions(options: CallOptions, place: string): ReadCallOptions {
  const own = withSettings(validate.ownOptions(options, KNOWN) as CallOptions)
  const {
    limits,
    storage,
    concurrent,
    headers: _headers,
    ...rest
  } = own as typeof own & CallOptions
  const limiter = pick(rest, OF_LIMITER) as RateLimiterOptions
  resolveOptions(limiter)
  const forRedis = pick(rest, REDIS_OPTIONS) as RedisOptions
  checkRedisOptions(forRedis)
  if (limits === undefined && concurrent === undefined) {
    const accepted = 'a limit or an array of them, or left out beside concurrent'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, limits)
  }
  const { name = place } = limiter
  return {
    limits: limits === undefined ? undefined : readLimits(limits),
    limiter: { ...limiter, storage, forRedis, identity: place },
    concurrent: concurrent === undefined ? undefined : readConcurrent(concurrent, 'concurrent'),
    permits: { storage, name, keyPrefix: forRedis.keyPrefix, capacity: limiter.capacity },
  }
}

function pick(own: object, names: readonly string[]): object {
  const given = Object.entries(own).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  )
  return Object.fromEntries(given)
}
