import { burstOf, type Limit } from '../limit/limit.ts'
import type { VariableLimiter } from '../limiter.ts'
import { type NativeVariable, openVariable } from '../native/binding.ts'
import { openWatched } from '../native/shared.ts'
import { type LimiterStats, NativeLimiter, readStats } from '../native-limiter.ts'
import {
  type Algorithm,
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
  withBurst,
} from '../options.ts'
import { printable } from '../validate.ts'
import { LimiterQueues } from '../wait.ts'

/**
 * Counters on this host for limits that change from call to call: one native limiter, which reads the limits of
 * each call from a buffer.
 */
export class NativeVariableLimiter implements VariableLimiter {
  readonly #native: NativeVariable
  readonly #options: ResolvedOptions
  readonly #queues: LimiterQueues
  readonly #endWatch: (() => void) | undefined
  readonly #windows = new Set<string>()
  /** The figures that are in the buffer. */
  #selected: readonly number[] | undefined

  /** @throws TypeError or RangeError that names the option; with `shared` the codes of docs/reference/errors.md */
  constructor(options: RateLimiterOptions) {
    const resolved = resolveOptions(options)
    const { algorithm, blockForMs, capacity } = resolved
    const toOpen = { algorithm, blockForMs, ...(capacity === undefined ? {} : { capacity }) }
    const opened = openWatched(
      openVariable,
      toOpen,
      resolved,
      ({ check }) => check,
      () => {},
    )
    this.#native = opened.native
    this.#endWatch = opened.endWatch
    this.#options = resolved
    this.#queues = new LimiterQueues(algorithm, resolved)
  }

  with(limits: readonly Limit[]): VariableTier {
    this.#warnOfManyWindows(limits)
    const all = withBurst(limits, this.#options)
    const selected = figuresOf(all)
    return new VariableTier(all, {
      native: this.#native,
      clock: this.#options.clock,
      queues: this.#queues,
      select: () => this.#select(selected),
    })
  }

  reset(key: string): void {
    this.#native.reset(key)
    this.#queues.wake(key)
  }

  /** Counts since the limiter was made. `bytes`: the most that its current tables can occupy. */
  stats(): LimiterStats {
    return readStats(this.#native)
  }

  close(): void {
    this.#native.close()
    this.#endWatch?.()
    this.#queues.close()
  }

  #select(figures: readonly number[]): void {
    if (this.#selected === figures) return
    this.#native.limits.set(figures)
    this.#selected = figures
  }

  /** Limits with more different windows than there are tables are counted in the next longer window. */
  #warnOfManyWindows(limits: readonly Limit[]): void {
    const { algorithm, name } = this.#options
    const tables = TABLES[algorithm]
    if (tables === undefined) return
    for (const limit of limits) {
      if (this.#windows.size > tables) return
      this.#windows.add(tableOf(limit, algorithm))
      if (this.#windows.size > tables) warnOfManyWindows(tables, algorithm, name)
    }
  }
}

/** The counters under one set of limits. Has no state but the limits. */
export class VariableTier extends NativeLimiter {
  /** Does nothing: the counters belong to the {@link NativeVariableLimiter}. */
  override close(): void {}
}

/** How many limits, then count, window and burst of each. */
function figuresOf(limits: readonly Limit[]): readonly number[] {
  const each = limits.flatMap((limit) => [limit.count, limit.windowMs, burstOf(limit)])
  return [limits.length, ...each]
}

/**
 * The most tables that the core keeps at once, see crate/core/src/variable. Buckets need no more than one: they
 * store the time that is owed, whatever the window.
 */
const TABLES: Readonly<Partial<Record<Algorithm, number>>> = {
  'fixed-window': 64,
  'sliding-window': 64,
  'sliding-log': 16,
}

/** The key of a table: the window, and in a log how many charges it holds. */
function tableOf({ count, windowMs }: Limit, algorithm: Algorithm): string {
  const places = algorithm === 'sliding-log' ? 2 ** Math.max(4, Math.ceil(Math.log2(count))) : 0
  return `${windowMs} ${places}`
}

function warnOfManyWindows(tables: number, algorithm: Algorithm, name: string | undefined): void {
  const whose = name === undefined ? 'a limiter' : `the limiter ${printable(name)}`
  const what = algorithm === 'sliding-log' ? 'windows and sizes of logs' : 'windows'
  process.emitWarning(
    `the limits of ${whose} have had more than ${tables} different ${what}; while all of these are in use, ` +
      'a further one is counted in the next longer window. Use fewer windows, or a token bucket',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_MANY_WINDOWS' },
  )
}
