import { mustBe } from './validate.ts'

/**
 * Where a limiter's time comes from, if not from the system's monotonic clock.
 *
 * It may start anywhere from 0 on. Should it step back, no time is taken to have passed.
 */
export interface Clock {
  /** Milliseconds, with or without a fraction. */
  now(): number
  /**
   * Runs `wake` after `ms` of this clock's time, for `limiter.wait`. Default: `setTimeout`.
   *
   * @returns a function that calls it off
   */
  setTimer?(wake: () => void, ms: number): () => void
}

/**
 * A clock that stands still until it is told to move: limits in tests without waiting.
 *
 * ```ts
 * const clock = new FakeClock()
 * const limiter = new RateLimiter('1/minute', { clock })
 * limiter.allow('k')      // true
 * limiter.allow('k')      // false
 * clock.advance(60_000)
 * limiter.allow('k')      // true
 * ```
 */
export class FakeClock implements Clock {
  #now: number
  readonly #timers: Timer[] = []

  /** @param startMs what the clock shows at first. Default: 0 */
  constructor(startMs = 0) {
    this.#now = checkTime(startMs, 'startMs')
  }

  /** Milliseconds shown. */
  now(): number {
    return this.#now
  }

  /**
   * Moves on, and runs the timers that fall due on the way, each at its own instant.
   *
   * @param ms how far, 0 or more
   */
  advance(ms: number): void {
    const end = this.#now + checkTime(ms, 'ms')
    for (let timer = this.#due(end); timer !== undefined; timer = this.#due(end)) {
      this.#now = Math.max(this.#now, timer.at)
      timer.wake()
    }
    // Not before where a timer has moved it meanwhile.
    this.#now = Math.max(this.#now, end)
  }

  /**
   * Shows another time, as a clock does that is put right; also an earlier one. Runs no timers.
   *
   * @param ms what to show, 0 or more
   */
  set(ms: number): void {
    this.#now = checkTime(ms, 'ms')
  }

  setTimer(wake: () => void, ms: number): () => void {
    const timer = { at: this.#now + ms, wake }
    this.#timers.push(timer)
    return () => this.#remove(timer)
  }

  /** Takes the earliest timer due by `end`; of several at one instant, the one set first. */
  #due(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
    }
    if (next !== undefined) this.#remove(next)
    return next
  }

  #remove(timer: Timer): void {
    const index = this.#timers.indexOf(timer)
    if (index >= 0) this.#timers.splice(index, 1)
  }
}

interface Timer {
  readonly at: number
  readonly wake: () => void
}

function checkTime(ms: unknown, name: string): number {
  const accepted = 'a finite number of milliseconds from 0 on'
  if (typeof ms !== 'number') throw new TypeError(mustBe(name, accepted, ms))
  if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw new RangeError(mustBe(name, accepted, ms))
  return ms
}

/** The clock, with the system's time and timers where it has none of its own. */
export function withTimers(clock: Clock | undefined): Required<Clock> {
  return {
    now: () => (clock === undefined ? performance.now() : clock.now()),
    setTimer: (wake, ms) => {
      if (clock?.setTimer !== undefined) return clock.setTimer(wake, ms)
      const timer = setTimeout(wake, ms)
      return () => clearTimeout(timer)
    },
  }
}
