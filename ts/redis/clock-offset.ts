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
  #writtenMs = 0
  #written = ''

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
   * A script's third argument: the server's time in microseconds at `at` or a little later, negative to be
   * told the time.
   *
   * @param now `performance.now()`, as `at` is
   */
  deadline(at: number, now: number): string {
    const ahead = Math.min(this.#leastMs, this.#beforeMs)
    if (ahead === Number.POSITIVE_INFINITY) return guess(at - now)
    const age = now - this.#learnedAt
    const ms = Math.ceil(at + ahead + MARGIN_MS + Math.max(0, age) * DRIFT)
    return age > FRESH_MS ? `-${ms}000` : this.#text(ms)
  }

  /** Many calls are due in one millisecond; writing out a large number is dear. */
  #text(ms: number): string {
    if (ms !== this.#writtenMs) {
      this.#writtenMs = ms
      this.#written = `${ms}000`
    }
    return this.#written
  }
}

/**
 * Servers mostly show the time of day, as we do. Where one is ahead, the call is refused as late, untouched,
 * and sent again with what was learned.
 */
function guess(aheadMs: number): string {
  return `-${Math.ceil((Date.now() + aheadMs + MARGIN_MS) * 1000)}`
}
