/** For how long the least bound is kept before a newer one takes its place. */
const KEPT_MS = 10_000
/** After so long the server is asked for its time again. */
const FRESH_MS = 1_000
const MARGIN_MS = 1
/** Clocks are slewed by at most so much of the time that passes. */
const DRIFT = 0.000_5

/**
 * How far a server's clock is ahead of ours.
 *
 * A call leaves before the server reads its clock, so each answer gives an upper bound. The least of them
 * is kept for a while: a deadline stated in the server's time then is never too early.
 */
export class Skew {
  #leastMs = Number.POSITIVE_INFINITY
  #beforeMs = Number.POSITIVE_INFINITY
  #since = 0
  #learnedAt = 0

  /**
   * @param sentAt `performance.now()` when the call left
   * @param serverUs what the server's clock showed meanwhile, in microseconds
   */
  learn(sentAt: number, serverUs: number): void {
    if (sentAt - this.#since > KEPT_MS) {
      this.#beforeMs = this.#leastMs
      this.#leastMs = Number.POSITIVE_INFINITY
      this.#since = sentAt
    }
    this.#leastMs = Math.min(this.#leastMs, serverUs / 1000 - sentAt)
    this.#learnedAt = sentAt
  }

  /** Forgets: the server's clock was put forward, or it is another server. */
  forget(): void {
    this.#leastMs = Number.POSITIVE_INFINITY
    this.#beforeMs = Number.POSITIVE_INFINITY
    this.#learnedAt = 0
  }

  /**
   * A script's third argument: the server's time in microseconds at `at` or a little later, 0 when nothing
   * is known, negative to be told the time.
   */
  deadline(at: number): string {
    const ahead = Math.min(this.#leastMs, this.#beforeMs)
    if (ahead === Number.POSITIVE_INFINITY) return '0'
    const age = at - this.#learnedAt
    const us = Math.ceil((at + ahead + MARGIN_MS + Math.max(0, age) * DRIFT) * 1000)
    return age > FRESH_MS ? `-${us}` : `${us}`
  }
}
