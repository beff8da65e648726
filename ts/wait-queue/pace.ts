import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import type { Algorithm } from '../options.ts'
import { Later } from './line.ts'

/**
 * Says of a denial when the head of a line asks again, and of each place behind it how long it lasts at
 * least until its turn: by position and pace.
 */
export class Pace {
  readonly #limits: readonly Limit[]
  readonly #algorithm: Algorithm
  readonly #isPaced: boolean

  /** @param isPaced one caller after the other leaves at the rate of the limit with the shortest window */
  constructor(limits: readonly Limit[], algorithm: Algorithm, isPaced: boolean) {
    this.#limits = limits
    this.#algorithm = algorithm
    this.#isPaced = isPaced && algorithm === 'leaky-bucket'
  }

  /**
   * @param standings how each limit stood at the denial, asked for only if there is a line
   */
  later(denial: Decision, standings: () => readonly LimitStatus[]): Later {
    const { retryAfterMs } = denial
    let known: readonly LimitStatus[] | undefined
    const placeMs = (ahead: number, cost: number): number => {
      known ??= standings()
      return Math.max(retryAfterMs, this.#placeMs(known, retryAfterMs, ahead, cost))
    }
    return new Later(denial, retryAfterMs, retryAfterMs, placeMs)
  }

  #placeMs(standings: readonly LimitStatus[], headMs: number, ahead: number, cost: number): number {
    let longest = this.#isPaced ? headMs + ahead * this.#gapMs() : 0
    for (const [i, limit] of this.#limits.entries()) {
      const { remaining = 0, moreMs = 0 } = standings[i] ?? {}
      const missing = ahead + cost - remaining
      if (missing > 0) longest = Math.max(longest, this.#missingMs(limit, missing, moreMs))
    }
    return longest
  }

  /** How long `missing` units take, the first of which is there after `firstMs`. Never more than it is. */
  #missingMs({ count, windowMs }: Limit, missing: number, firstMs: number): number {
    const isInSteps = this.#algorithm === 'fixed-window' || this.#algorithm === 'sliding-log'
    const stepMs = isInSteps ? windowMs : windowMs / count
    const steps = isInSteps ? Math.floor((missing - 1) / count) : missing - 1
    return (Number.isFinite(firstMs) ? firstMs : stepMs) + steps * stepMs
  }

  #gapMs(): number {
    const [first, ...others] = this.#limits as [Limit, ...Limit[]]
    const shortest = others.reduce((a, b) => (b.windowMs < a.windowMs ? b : a), first)
    return shortest.windowMs / shortest.count
  }
}
