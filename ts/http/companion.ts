import { createHash } from 'node:crypto'
import { openTier } from '../create.ts'
import type { Limit } from '../limit/limit.ts'
import type { Tier } from '../limiter.ts'
import type { Algorithm, RateLimiterOptions } from '../options.ts'
import type { RedisSettings } from './options.ts'

/** Where the counters of a budget are, and under which name. */
export interface Where {
  readonly limiter: RateLimiterOptions
  readonly storage: unknown
  readonly forRedis: RedisSettings
  /** The budget's own; `undefined` where only one limiter has it. */
  readonly name: string | undefined
}

/** Opens further counters in the same place: processes that share a budget share what goes with it. */
export type OpenCompanion = (what: string, limit: Limit, algorithm: Algorithm) => Tier

const LEAST_CAPACITY = 100_000

/** Opens what goes with the budget there. */
export function companionsOf({ limiter, storage, forRedis, name }: Where): OpenCompanion {
  const { clock, capacity } = limiter
  const { keyPrefix, deadlineMs, connectTimeoutMs } = forRedis
  return (what, limit, algorithm) => {
    const own = name === undefined ? undefined : nameOf(what, name)
    return openTier([limit], {
      algorithm,
      clock,
      // It has as many keys as the budget; one made for a few is no reason to forget who offended.
      capacity: capacity === undefined ? undefined : Math.max(capacity, LEAST_CAPACITY),
      storage,
      name: own,
      identity: nameOf(what, ''),
      // While Redis is away a process knows of itself alone, and keeps no share of anything.
      forRedis: { keyPrefix, deadlineMs, connectTimeoutMs, processes: 1 },
    })
  }
}

/** One that fits, and that is no name of a budget: those are not hashed. */
function nameOf(what: string, name: string): string {
  const digest = createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('base64url')
  return `ratethrottle ${what} ${digest}`
}
