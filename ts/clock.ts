import { invalid } from './validate.ts'

/**
 * A limiter's time, in place of the system's monotonic clock.
 *
 * It may start at any time from 0 on. If it steps back, the limiter takes no time to have passed.
 */
export interface Clock {
  /** Milliseconds, with or without a fraction. */
  now(): number
  /**
   * Runs `wake` after `ms` of this clock's time, for `limiter.wait`. Default: `setTimeout`.
   *
   * @returns a function that cancels it
   */
  setTimer?(wake: () => void, ms: number): () => void
}

/**
 * A clock that moves only when the program moves it: for tests of limits that do not wait.
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
  readonly #timers = new Set<Timer>()

  /** @param startMs the time at first. Default: 0 */
  constructor(startMs = 0) {
    this.#now = checkTime(startMs, 'startMs')
  }

  /** The time in milliseconds. */
  now(): number {
    return this.#now
  }

  /**
   * Moves the time forward, and runs the timers that become due, each at its own time.
   *
   * @param ms how far, 0 or more
   */
  advance(ms: number): void {
    const end = this.#now + checkTime(ms, 'ms')
    for (let timer = this.#due(end); timer !== undefined; timer = this.#due(end)) {
      this.#now = Math.max(this.#now, timer.at)
      timer.wake()
    }
    // A timer may have advanced the clock past `end`: it never moves back here.
    this.#now = Math.max(this.#now, end)
  }

  /**
   * Sets the time, also to an earlier one, as when a system's clock is corrected. Runs no timers.
   *
   * @param ms the new time, 0 or more
   */
  set(ms: number): void {
    this.#now = checkTime(ms, 'ms')
  }

  setTimer(wake: () => void, ms: number): () => void {
    const timer = { at: this.#now + ms, wake }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Removes the earliest timer due by `end`; of several due at one time, the one set first. */
  #due(end: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.at <= end)
    const [next] = due.sort((a, b) => a.at - b.at)
    if (next !== undefined) this.#timers.delete(next)
    return next
  }
}

interface Timer {
  readonly at: number
  readonly wake: () => void
}

function checkTime(ms: unknown, name: string): number {
  if (typeof ms === 'number' && ms >= 0 && ms < Number.POSITIVE_INFINITY) return ms
  const accepted = 'a finite number of milliseconds from 0 on'
  throw invalid('number', 'INVALID_ARGUMENT', name, accepted, ms)
}

/** The clock, with the system's time if there is no clock, and the system's timers if it has none. */
export function withTimers(clock: Clock | undefined): Required<Clock> {
  return {
    now: () => (clock === undefined ? performance.now() : clock.now()),
    setTimer: (wake, ms) =>
      clock?.setTimer === undefined ? setSystemTimer(wake, ms) : clock.setTimer(wake, ms),
  }
}

/** `Clock.setTimer` by `setTimeout`, which is looked up in each call: tests may have replaced it. */
export function setSystemTimer(wake: () => void, ms: number): () => void {
  const timer = setTimeout(wake, ms)
  return () => clearTimeout(timer)
}
