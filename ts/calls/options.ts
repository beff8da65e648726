import type { InsightInput } from '../counting.ts'
import {
  type AdapterLimiterOptions,
  checkRedisOptions,
  REDIS_OPTIONS,
  type RedisOptions,
} from '../create.ts'
import { refuseWithout } from '../http/idle-options.ts'
import type { Limit, LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import { type ConcurrentInput, type PermitsPlace, readConcurrent } from '../permits/open.ts'
import { isLimiter, SETTINGS, type Settings, withSettings } from '../storage-url.ts'
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
  /** Decides and reports, but refuses no call. Default: false. */
  readonly dryRun?: boolean | undefined
}

/** What the options ask for. */
export interface ReadCallOptions {
  readonly limits: readonly Limit[] | undefined
  /** For the limiter. The insight is apart: it has a row for this limiter. */
  readonly limiter: AdapterLimiterOptions
  readonly insight: InsightInput | undefined
  readonly concurrent: Exclude<ConcurrentInput, number> | undefined
  readonly permits: PermitsPlace
  readonly dryRun: boolean
}

const OF_LIMITER = LIMITER_OPTIONS.filter((name) => name !== 'shared')
const PASSED_ON = OF_LIMITER.filter((name) => name !== 'insight')

/** The options of a limiter of calls, by name. */
export const CALL_OPTIONS: readonly string[] = [
  ...new Set([
    ...['limits', 'concurrent', 'storage', 'dryRun'],
    ...OF_LIMITER,
    ...REDIS_OPTIONS,
    ...SETTINGS,
  ]),
]

/**
 * @param identity the name of the counters of a limiter without one, in a store that others use too
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function readCallOptions(options: CallOptions, identity: string): ReadCallOptions {
  const own = withSettings(validate.ownOptions(options, CALL_OPTIONS) as CallOptions)
  const { limits, storage, concurrent, dryRun = false, insight } = own as CallOptions
  const limiter = pickGiven(own, OF_LIMITER) as RateLimiterOptions
  resolveOptions(limiter)
  const forRedis = pickGiven(own, REDIS_OPTIONS) as RedisOptions
  checkRedisOptions(forRedis)
  const parsed = readOwnLimits(limits, storage)
  if (parsed === undefined && concurrent === undefined) {
    const accepted = 'a limit or an array of them, or left out beside concurrent'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, limits)
  }
  const { name, capacity, maxWaiters } = limiter
  const place = { keyPrefix: forRedis.keyPrefix, capacity, maxWaiters, insight }
  const passedOn = pickGiven(own, PASSED_ON)
  return {
    limits: parsed,
    limiter: { ...passedOn, storage, forRedis, identity },
    insight,
    concurrent: concurrent === undefined ? undefined : readConcurrent(concurrent, 'concurrent'),
    permits: { storage, name, identity, forRedis, ...place },
    dryRun: validate.boolean(dryRun, 'dryRun'),
  }
}

/** @throws TypeError for options about limits where there are none: they would do nothing */
export function refuseIdleCallOptions(given: object, others: string): void {
  refuseWithout(others, ['burst', 'blockFor', 'algorithm'], given)
}

/** A limiter that is passed as storage has limits of its own. */
function readOwnLimits(
  limits: LimitInput | undefined,
  storage: unknown,
): readonly Limit[] | undefined {
  if (isLimiter(storage) && (limits === undefined || limits === storage.limits)) {
    return storage.limits
  }
  return limits === undefined ? undefined : readLimits(limits)
}

/** Those of the options that have one of the names and a value. */
export function pickGiven(own: object, names: readonly string[]): object {
  const given = Object.entries(own).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  )
  return Object.fromEntries(given)
}
