import type { Decision } from '../decision.ts'
import { burstOf, type Limit } from '../limit/limit.ts'
import type { Limiter, LimitStatus } from '../limiter.ts'

/** A key under one limiter. Times are in milliseconds; `null` stands for "never". */
export interface KeyState {
  readonly limit: string
  readonly key: string
  readonly allowed: boolean
  readonly remaining: number
  readonly resetMs: number | null
  readonly retryAfterMs: number | null
  /** `null` where a block looks as a window that is used up does: one limit by windows, denied for less than one. */
  readonly blocked: boolean | null
  /** Each limit by itself. */
  readonly each: readonly {
    readonly count: number
    readonly windowMs: number
    readonly remaining: number
  }[]
  readonly error?: string
}

/** What a limiter says about a key, without a charge. */
export async function stateOf(
  limiter: Limiter,
  key: string,
): Promise<Omit<KeyState, 'limit' | 'key'>> {
  const decision = await limiter.peek(key)
  const standings = await limiter.standings(key, decision)
  const { allowed, remaining, resetMs, retryAfterMs } = decision
  const blocked = allowed ? false : await isBlocked(limiter, key, decision, standings)
  return {
    allowed,
    remaining,
    resetMs: finite(resetMs),
    retryAfterMs: finite(retryAfterMs),
    blocked,
    each: limiter.limits.map(({ count, windowMs }, i) => ({
      count,
      windowMs,
      remaining: standings[i]?.remaining ?? remaining,
    })),
  }
}

/** Times are whole milliseconds, rounded up. */
const ROUNDED_MS = 2

/**
 * Whether it is a block that denies. A limiter does not say; but a block denies under each limit at once and for
 * one time, and a limit by itself never for longer than its window, nor a bucket for longer than one unit takes.
 */
async function isBlocked(
  limiter: Limiter,
  key: string,
  decision: Decision,
  standings: readonly LimitStatus[],
): Promise<boolean | null> {
  if (!(await haveOneEnd(limiter, key, decision, standings))) return false
  const { retryAfterMs, limitResetMs } = decision
  const [limit] = limiter.limits
  if (limit === undefined || limiter.limits.length > 1) return true
  const { algorithm } = limiter as { readonly algorithm?: string }
  const isBucket = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  if (retryAfterMs > longestWait(limit, isBucket)) return true
  if (!isBucket || burstOf(limit) === 1) return null
  // An empty bucket holds one unit again when it still lacks all others: a block ends at another time.
  const others = ((burstOf(limit) - 1) * limit.windowMs) / limit.count
  return Math.abs(limitResetMs - retryAfterMs - others) > ROUNDED_MS
}

/**
 * Whether all limits deny until the same moment. A limiter in memory reads its clock for each of them, so the times
 * that are left may differ; but all were read between the decision and one that is made now.
 */
async function haveOneEnd(
  limiter: Limiter,
  key: string,
  { retryAfterMs }: Decision,
  standings: readonly LimitStatus[],
): Promise<boolean> {
  if (standings.some(({ remaining }) => remaining > 0)) return false
  if (standings.every(({ moreMs }) => moreMs === retryAfterMs)) return true
  const now = await limiter.peek(key)
  return (
    !now.allowed &&
    standings.every(({ moreMs }) => moreMs <= retryAfterMs && moreMs >= now.retryAfterMs)
  )
}

function longestWait({ count, windowMs }: Limit, isBucket: boolean): number {
  // A window that slides may count the one before it, too.
  return isBucket ? Math.ceil(windowMs / count) : 2 * windowMs
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? ms : null
}
