import { checkRedisOptions, REDIS_OPTIONS } from '../create.ts'
import { LIMITER_OPTIONS, type RateLimiterOptions, resolveOptions } from '../options.ts'
import * as validate from '../validate.ts'
import type { AnyHttpOptions, RedisSettings } from './options.ts'

/*
 * What an adapter passes on of its options: to the limiter itself, and to one in Redis.
 */

/**
 * Those of a limiter. There is no `shared`: the storage says it; and `onMismatch` has a meaning only there. It counts in
 * the adapter's row of an `insight`.
 */
const NOT_PASSED_ON = ['shared', 'onMismatch', 'insight']
export const OF_LIMITER: readonly string[] = LIMITER_OPTIONS.filter(
  (name) => !NOT_PASSED_ON.includes(name),
)
/**
 * Those of the limiter itself.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function readLimiter(own: AnyHttpOptions): RateLimiterOptions {
  const { name, scope, blockFor, onMismatch } = own
  if (name !== undefined && scope !== undefined) {
    const accepted = 'left out beside scope, which is a name for the counters, too'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'name', accepted, name)
  }
  const limiter: RateLimiterOptions = {
    ...pick(own, OF_LIMITER),
    blockFor: Array.isArray(blockFor) ? undefined : (blockFor as string | number | undefined),
    name: scope === undefined ? name : `scope:${scope}`,
  }
  resolveOptions(limiter)
  return onMismatch === undefined ? limiter : { ...limiter, onMismatch }
}

/** Checked wherever the counters are: a wrong one should not surface on the day of the move to Redis. */
export function readForRedis(own: AnyHttpOptions): RedisSettings {
  const { onError, onStoreError } = own
  const policy = typeof onError === 'string' ? onError : onStoreError
  const named = pick({ ...own, onError: policy }, REDIS_OPTIONS)
  const given = Object.entries(named).filter(([, value]) => value !== undefined)
  const forRedis = Object.fromEntries(given)
  checkRedisOptions(forRedis)
  return forRedis
}

function pick(own: AnyHttpOptions, names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, own[name as keyof AnyHttpOptions]]))
}
