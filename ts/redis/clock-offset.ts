/** How long the smallest bound is kept before a newer one replaces it. */
const KEPT_MS = 10_000
/** After this long the server is asked for its time again. */
const FRESH_MS = 1_000
const MARGIN_MS = 1
/** Clocks are slewed by at most this part of the time that passes. */
const DRIFT = 0.000_5

/**
 * How far a server's clock is ahead of ours.
 *
 * A call leaves before the server reads its clock, so each reply gives an upper bound. The smallest is kept for
 * a while: a deadline in the server's time is then never too early.
 */
export class ClockOffset {
  #smallestMs = Number.POSITIVE_INFINITY
  #previousMs = Number.POSITIVE_INFINITY
  #since = 0
  #learnedAt = 0
  #writtenMs = 0
  #written = ''

  /**
   * @param sentAt `performance.now()` when the call left
   * @param serverUs what the server's clock showed meanwhile, in microseconds
   */
  learn(sentAt: number, serverUs: number): void {
    if (sentAt - this.#since > KEPT_MS) {
      this.#previousMs = this.#smallestMs
      this.#smallestMs = Number.POSITIVE_INFINITY
      this.#since = sentAt
    }
    this.#smallestMs = Math.min(this.#smallestMs, serverUs / 1000 - sentAt)
    this.#learnedAt = sentAt
  }

  /** The server's clock was set forward, or another server has taken over. */
  forget(): void {
    this.#smallestMs = Number.POSITIVE_INFINITY
    this.#previousMs = Number.POSITIVE_INFINITY
    this.#learnedAt = 0
  }

  /**
   * The deadline that a script gets: the server's time in microseconds at `at` or slightly later; negative to
   * have the script reply with the time.
   *
   * @param now `performance.now()`, as `at` is
   */
  deadline(at: number, now: number): string {
    const ahead = Math.min(this.#smallestMs, this.#previousMs)
    // Most servers show the time of day, as we do. If one is ahead, the script rejects the call as late without
    // charging, and the call is sent again with the time that was learned.
    if (ahead === Number.POSITIVE_INFINITY) {
      return `-${Math.ceil((Date.now() + at - now + MARGIN_MS) * 1000)}`
    }
    const age = now - this.#learnedAt
    const ms = Math.ceil(at + ahead + MARGIN_MS + Math.max(0, age) * DRIFT)
    if (age > FRESH_MS) return `-${ms}000`
    // Many calls are due in the same millisecond, and formatting a large number is expensive.
    if (ms !== this.#writtenMs) {
      this.#writtenMs = ms
      this.#written = `${ms}000`
    }
    return this.#written
  }
}
