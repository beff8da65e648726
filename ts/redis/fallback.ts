import { type Decision, retryAfterOf } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import { RateLimiter } from '../limiter.ts'
import type { Standing } from '../tier.ts'
import { closedError } from './argument.ts'
import type { OnError, ResolvedRedisOptions } from './options.ts'

/** What a denial of a limiter that cannot know says: ask again in a second. */
const UNKNOWN_MS = 1_000

/**
 * Decides while Redis does not.
 *
 * `local` is a native limiter with this process's share of each limit, rounded up: P processes together
 * admit at most P - 1 units more than the limit. It is kept from one outage to the next, so that a Redis
 * that comes and goes grants no fresh budget each time.
 */
export class Fallback {
  readonly #policy: OnError
  readonly #limits: readonly Limit[]
  readonly #options: ResolvedRedisOptions
  readonly #processes: () => number
  readonly #horizonMs: number
  #local: RateLimiter | undefined
  #share = 0
  #usedAt = 0
  #closed = false

  /** @param processes how many share the limits now, at least 1 */
  constructor(limits: readonly Limit[], options: ResolvedRedisOptions, processes: () => number) {
    this.#policy = options.onError
    this.#limits = limits
    this.#options = options
    this.#processes = processes
    this.#horizonMs = 2 * Math.max(...limits.map((limit) => limit.windowMs))
  }

  check(key: string, cost: number): Decision {
    return this.#asWhole(this.#policy === 'local' ? this.#limiter().check(key, cost) : undefined)
  }

  peek(key: string, cost: number): Decision {
    return this.#asWhole(this.#policy === 'local' ? this.#limiter().peek(key, cost) : undefined)
  }

  /** How each of this process's shares stands, if they were ever used. */
  standings(key: string): readonly Standing[] | undefined {
    return this.#local?.standings(key)
  }

  refund(key: string, units: number): void {
    this.#local?.refund(key, units)
  }

  block(key: string, ms: number): void {
    if (this.#policy === 'local') this.#limiter().block(key, ms)
  }

  reset(key: string): void {
    this.#local?.reset(key)
  }

  close(): void {
    this.#closed = true
    this.#local?.close()
    this.#local = undefined
  }

  /** The limit is reported as it was set, not as this process's share of it. */
  #asWhole(decision: Decision | undefined): Decision {
    if (decision === undefined) return this.#blind()
    return { ...decision, limit: this.#limits[decision.policy]?.count ?? decision.limit }
  }

  /** `open` and `closed` know of no limit: the first one is named. */
  #blind(): Decision {
    const allowed = this.#policy === 'open'
    const limit = this.#limits[0]?.count ?? 0
    const ms = allowed ? 0 : UNKNOWN_MS
    return {
      allowed,
      limit,
      remaining: allowed ? limit : 0,
      resetMs: ms,
      limitResetMs: ms,
      retryAfterMs: ms,
      retryAfter: retryAfterOf(ms),
      policy: 0,
    }
  }

  /** Whoever was still waiting for Redis when the limiter was closed has no answer. */
  #limiter(): RateLimiter {
    if (this.#closed) throw closedError('the limiter was closed while waiting')
    const now = performance.now()
    const forgotten = now - this.#usedAt > this.#horizonMs
    this.#usedAt = now
    const share = this.#processes()
    if (this.#local !== undefined && (share === this.#share || !forgotten)) return this.#local
    this.#local?.close()
    this.#share = share
    this.#local = this.#make(share)
    return this.#local
  }

  #make(share: number): RateLimiter {
    try {
      return this.#open(share)
    } catch {
      // A share may have no divisor in common with the window, and then be more than the core can count.
      return this.#open(wholeShare(this.#limits, share))
    }
  }

  #open(share: number): RateLimiter {
    const { algorithm, burst, blockForMs, capacity, clock } = this.#options
    const limits = this.#limits.map(({ count, windowMs }) => ({
      count: Math.ceil(count / share),
      windowMs,
    }))
    return new RateLimiter(limits, {
      algorithm,
      burst: burst === undefined ? undefined : Math.ceil(burst / share),
      blockFor: blockForMs,
      capacity,
      clock,
    })
  }
}

/** The greatest number of shares up to `share` into which every count divides. */
function wholeShare(limits: readonly Limit[], share: number): number {
  let parts = share
  while (limits.some(({ count }) => count % parts !== 0)) parts--
  return parts
}
