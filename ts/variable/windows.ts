import type { Limit } from '../limit/limit.ts'
import type { Algorithm } from '../options.ts'
import { printable } from '../validate.ts'

/** The most tables that the core keeps at once: see crate/core/src/variable/place.rs. */
const MOST_WINDOWS = 64
const MOST_LOGS = 16

/**
 * Sees when limits have more different windows than there are tables for. Those that find none are counted
 * in the next longer window: stricter, never an error.
 */
export class Windows {
  readonly #seen = new Set<string>()
  readonly #algorithm: Algorithm
  readonly #name: string | undefined

  constructor(algorithm: Algorithm, name: string | undefined) {
    this.#algorithm = algorithm
    this.#name = name
  }

  see(limits: readonly Limit[]): void {
    // Buckets owe time, whatever the window.
    if (this.#algorithm === 'token-bucket' || this.#algorithm === 'leaky-bucket') return
    const most = this.#algorithm === 'sliding-log' ? MOST_LOGS : MOST_WINDOWS
    for (const limit of limits) {
      if (this.#seen.size > most) return
      this.#seen.add(this.#tableOf(limit))
      if (this.#seen.size > most) this.#warn(most)
    }
  }

  #tableOf({ count, windowMs }: Limit): string {
    const places =
      this.#algorithm === 'sliding-log' ? 2 ** Math.max(4, Math.ceil(Math.log2(count))) : 0
    return `${windowMs} ${places}`
  }

  #warn(most: number): void {
    const whose = this.#name === undefined ? 'a limiter' : `the limiter ${printable(this.#name)}`
    const what = this.#algorithm === 'sliding-log' ? 'windows and sizes of logs' : 'windows'
    process.emitWarning(
      `the limits of ${whose} have had more than ${most} different ${what}; while all of these are in use, ` +
        'a further one is counted in the next longer window. Use fewer windows, or a token bucket',
      { type: 'RateThrottleWarning', code: 'RATETHROTTLE_MANY_WINDOWS' },
    )
  }
}
