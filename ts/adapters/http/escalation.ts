import type { Clock } from '../../clock.ts'
import type { Decision } from '../../decision.ts'
import type { Limit } from '../../limit/limit.ts'
import { RateLimiter } from '../../limiter.ts'
import type { Answer, Standing, Tier } from '../../tier.ts'
import type { WaitOptions } from '../../wait.ts'
import { then } from './answer.ts'

/** How long an offence is remembered. */
const MEMORY_MS = 86_400_000
const MOST_STRIKES = 1000

/**
 * Blocks a key for longer each time it passes a limit: `blockFor: ['1 minute', '10 minutes', '1 day']`.
 *
 * Each block begins with a denial by the limits; the last step is for all that follow. A key that has not
 * been blocked for a day starts anew. What it remembers lives in this process, in bounded memory.
 */
export class Escalation implements Tier {
  readonly limits: readonly Limit[]
  readonly #tier: Tier
  readonly #stepsMs: readonly number[]
  readonly #strikes: RateLimiter
  readonly #blocked: RateLimiter

  constructor(tier: Tier, stepsMs: readonly number[], clock: Clock | undefined) {
    this.limits = tier.limits
    this.#tier = tier
    this.#stepsMs = stepsMs
    const limit: Limit = { count: MOST_STRIKES, windowMs: MEMORY_MS }
    this.#strikes = new RateLimiter(limit, { algorithm: 'fixed-window', clock })
    this.#blocked = new RateLimiter(limit, { clock })
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

  standings(key: string, decision: Decision): Answer<readonly Standing[]> {
    return this.#tier.standings(key, decision)
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

  close(): Answer<void> {
    this.#strikes.close()
    this.#blocked.close()
    return this.#tier.close()
  }

  #punish(key: string, denied: Decision): Answer<Decision> {
    const { remaining } = this.#strikes.check(key)
    const step = Math.min(MOST_STRIKES - remaining, this.#stepsMs.length) - 1
    const ms = this.#stepsMs[step] as number
    try {
      this.#blocked.block(key, ms)
    } catch {
      // No slot left but those of blocked keys: the denial stands, the next one tries again.
      return denied
    }
    const longer: Decision = {
      ...denied,
      remaining: 0,
      resetMs: Math.max(denied.resetMs, ms),
      retryAfterMs: Math.max(denied.retryAfterMs, ms),
    }
    return then(this.#tier.block(key, ms), () => longer)
  }
}
