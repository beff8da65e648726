/** How much a request matters. When there is too much, `'background'` is refused first and `'critical'` last. */
export type Priority = 'critical' | 'normal' | 'background'

export const PRIORITIES: readonly Priority[] = ['critical', 'normal', 'background']

/** What is kept free of this priority for those above it. A little is enough: it is filled from there at once. */
const KEPT_FREE: Readonly<Record<Priority, number>> = { critical: 0, normal: 0.2, background: 0.4 }

/**
 * How much of a limit requests of one priority may fill, together with all others.
 *
 * @param priority `undefined` where there are no priorities
 */
export function shareOf(limit: number, priority: Priority | undefined): number {
  if (priority === undefined) return limit
  // Of a few places none is kept free of normal requests: a limit of 4 is 4.
  return Math.max(1, limit - Math.floor(limit * KEPT_FREE[priority]))
}

/** Lets in as many requests a second as a process can do, those that matter more before the others. */
export class RateGate {
  #tokens = 0
  #filledAt = 0
  #rate = Number.POSITIVE_INFINITY

  /** @param rate requests a second, `Infinity` to let everything in */
  setRate(rate: number, now: number): void {
    this.#fill(now)
    if (this.#rate === Number.POSITIVE_INFINITY) this.#tokens = 0
    this.#rate = rate
  }

  take(priority: Priority | undefined, now: number): boolean {
    if (this.#rate === Number.POSITIVE_INFINITY) return true
    this.#fill(now)
    const reserve = priority === undefined ? 0 : KEPT_FREE[priority] * this.#most()
    if (this.#tokens < 1 + reserve) return false
    this.#tokens--
    return true
  }

  #fill(now: number): void {
    const passedMs = Math.max(0, now - this.#filledAt)
    this.#filledAt = now
    if (this.#rate === Number.POSITIVE_INFINITY) return
    this.#tokens = Math.min(this.#most(), this.#tokens + (this.#rate * passedMs) / 1_000)
  }

  /** What may come at once: of a quarter of a second. */
  #most(): number {
    return Math.max(4, this.#rate / 4)
  }
}
