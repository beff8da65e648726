import { createHash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { type Decision, deniedFor } from '../../decision.ts'
import type { Limit } from '../../limit/limit.ts'
import { RateLimiter } from '../../limiter.ts'
import { type Answer, readiness, type Standing, type StoreStatus, type Tier } from '../../tier.ts'
import type { WaitOptions } from '../../wait.ts'
import type { Caller, Outcome } from '../../wait-queue.ts'
import { then } from './answer.ts'

/** How long an offence is remembered once its block is over. */
const MEMORY_MS = 86_400_000
const MOST_MEMORY_MS = 365 * 86_400_000
const MOST_STRIKES = 1000

/**
 * Blocks a key for longer each time it passes a limit: `blockFor: ['1 minute', '10 minutes', '1 day']`.
 *
 * Each block begins with a denial by the limits; the last step is for all that follow. A key starts anew
 * when it has not been blocked for a day, and for as long as the longest step besides. What it remembers
 * lives in this process, in bounded memory.
 */
export class Escalation implements Tier {
  readonly limits: readonly Limit[]
  readonly #tier: Tier
  readonly #stepsMs: readonly number[]
  readonly #strikes: RateLimiter
  readonly #blocked: RateLimiter

  /** @param name of the budget, if others share it: they share what is remembered, too */
  /** Denials that began a block: what the limits alone said, and for how long the block lasts. */
  readonly #begun = new WeakMap<Decision, { readonly denied: Decision; readonly ms: number }>()

  constructor(
    tier: Tier,
    stepsMs: readonly number[],
    clock: Clock | undefined,
    name: string | undefined,
  ) {
    this.limits = tier.limits
    this.#tier = tier
    this.#stepsMs = stepsMs
    const windowMs = Math.min(MEMORY_MS + Math.max(...stepsMs), MOST_MEMORY_MS)
    const limit: Limit = { count: MOST_STRIKES, windowMs }
    const named = (what: string) => (name === undefined ? {} : { name: nameOf(what, name) })
    this.#strikes = new RateLimiter(limit, {
      algorithm: 'fixed-window',
      clock,
      ...named('strikes'),
    })
    this.#blocked = new RateLimiter(limit, { clock, ...named('blocked') })
  }

  check(key: string, cost?: number): Answer<Decision> {
    return then(this.#tier.check(key, cost), (decision) => {
      const isOffence = !decision.allowed && Number.isFinite(decision.retryAfterMs) && cost !== 0
      if (!isOffence || !this.#blocked.peek(key).allowed) return decision
      return this.#punish(key, decision)
    })
  }

  peek(key: string, cost?: number): Answer<Decision> {
    return this.#tier.peek(key, cost)
  }

  take(key: string, cost?: number): Answer<Decision> {
    return this.#tier.take(key, cost)
  }

  delay(key: string, cost: number, maxWaitMs: number, caller: Caller): Answer<Outcome> {
    return this.#tier.delay(key, cost, maxWaitMs, caller)
  }

  standings(key: string, decision: Decision): Answer<readonly Standing[]> {
    const block = this.#begun.get(decision)
    if (block === undefined) return this.#tier.standings(key, decision)
    return then(this.#tier.standings(key, block.denied), (standings) =>
      standings.map((standing) => underBlock(standing, block.ms)),
    )
  }

  refund(key: string, units?: number): Answer<void> {
    return this.#tier.refund(key, units)
  }

  block(key: string, ms: number): Answer<void> {
    return this.#tier.block(key, ms)
  }

  reset(key: string): Answer<void> {
    this.#strikes.reset(key)
    this.#blocked.reset(key)
    return this.#tier.reset(key)
  }

  wait(key: string, options?: WaitOptions): Promise<Decision> {
    return this.#tier.wait(key, options)
  }

  ready(): Promise<StoreStatus> {
    return readiness(this.#tier)
  }

  close(): Answer<void> {
    this.#strikes.close()
    this.#blocked.close()
    return this.#tier.close()
  }

  #punish(key: string, denied: Decision): Answer<Decision> {
    const ms = this.#stepsMs[this.#strike(key) - 1] as number
    try {
      this.#blocked.block(key, ms)
    } catch {
      // No slot left but those of blocked keys: the denial stands, the next one tries again.
      return denied
    }
    const longer = { ...deniedFor(denied, ms), remaining: 0 }
    this.#begun.set(longer, { denied, ms })
    // It replaces an earlier block: one that another process began must not end the sooner for it.
    if (denied.retryAfterMs >= ms) return longer
    return then(this.#tier.block(key, ms), () => longer)
  }

  /** Which step it is now. Each offence opens the window anew: it is the last one that is remembered. */
  #strike(key: string): number {
    const { limit, remaining } = this.#strikes.peek(key)
    const strikes = Math.min(limit - remaining + 1, this.#stepsMs.length, MOST_STRIKES)
    this.#strikes.reset(key)
    this.#strikes.check(key, strikes)
    return strikes
  }
}

/** A limit that has units left would admit one as soon as the block is over. */
function underBlock({ remaining, moreMs }: Standing, ms: number): Standing {
  return { remaining: 0, moreMs: remaining > 0 ? ms : Math.max(moreMs, ms) }
}

/** One that fits, and that is no name of a budget: those are not hashed. */
function nameOf(what: string, name: string): string {
  const digest = createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('base64url')
  return `ratethrottle ${what} ${digest}`
}
