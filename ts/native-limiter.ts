import type { Clock } from './clock.ts'
import { type Decision, type DecisionBuffer, readDecision } from './decision.ts'
import { burstOf, type Limit } from './limit/limit.ts'
import type { Limiter, LimitStatus, MaybePromise, VariableLimiter } from './limiter.ts'
import { type LimiterStats, openCounted, openCounter, placeOf, readStats } from './limiter-stats.ts'
import { type NativeVariable, openVariable, openWatched } from './native/binding.ts'
import {
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
  withBurst,
} from './options.ts'
import { printable } from './validate.ts'
import { LimiterQueues, readWaitOptions, type WaitOptions } from './wait.ts'
import type { Caller, WaitResult } from './wait-queue/line.ts'

type NativeCall = (key: string, cost?: number, now?: number) => false | undefined
type NativeChange = (key: string, units?: number, now?: number) => undefined

/**
 * The native functions that are called here. Listed, because this type is part of the public declarations, and
 * TypeScript resolves the import of the addon's own types only with some settings of a project.
 */
interface NativeFunctions extends DecisionBuffer {
  readonly check: NativeCall
  readonly peek: NativeCall
  readonly take: NativeCall
  readonly pace: NativeCall
  readonly refund: NativeChange
  readonly block: NativeChange
  readonly reset: (key: string) => undefined
  readonly denied: (key: string, policy: number, now?: number) => undefined
  readonly standing: (key: string, index: number, now?: number) => undefined
}

/** The native functions of a limiter, its clock, and the queues before it. */
export interface NativeParts {
  /** The native functions, set to these limits if the limits change from call to call. */
  readonly native: () => NativeFunctions
  readonly clock: Clock | undefined
  readonly queues: LimiterQueues
}

/**
 * The synchronous calls about a key, for limits that are fixed and for limits that change from call to call.
 *
 * Each call reads the clock before it selects the limits: a clock may be a user's function that asks the limiter
 * about other limits.
 */
export abstract class NativeLimiter implements Limiter {
  /** The limits, parsed, with the bursts they were given. All of them are charged, or none. */
  readonly limits: readonly Limit[]
  readonly #parts: NativeParts

  constructor(limits: readonly Limit[], parts: NativeParts) {
    this.limits = limits
    this.#parts = parts
  }

  /** Charges `cost` (default 1) and says in full what that left, or why not. */
  check(key: string, cost?: number): Decision {
    const now = this.#now()
    const native = this.#parts.native()
    return readDecision(native.check(key, cost, ...now) === undefined, native)
  }

  /** What {@link check} would answer now. Changes nothing. */
  peek(key: string, cost?: number): Decision {
    const now = this.#now()
    const native = this.#parts.native()
    return readDecision(native.peek(key, cost, ...now) === undefined, native)
  }

  /**
   * As {@link check}, but a denial begins no block: for callers who wait for their turn.
   *
   * @param isPaced a leaky bucket admits only while the bucket of the limit with the shortest window is
   * empty: one caller after the other, evenly. Default: false
   */
  take(key: string, cost?: number, isPaced = false): Decision {
    const now = this.#now()
    const native = this.#parts.native()
    const take = isPaced ? native.pace : native.take
    return readDecision(take(key, cost, ...now) === undefined, native)
  }

  /**
   * Waits until `cost` is admitted: first come, first served for each key. With `leaky-bucket` work leaves
   * evenly paced, at the rate of the limit with the shortest window from the first call on; callers of
   * {@link check} may overtake.
   *
   * @throws RateLimitExceeded when `maxWaitMs` does not suffice, when no wait would, or when `maxWaitersPerKey`
   * or `maxWaiters` callers wait already; the signal's reason when it is aborted. Nothing is charged then.
   */
  async wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    const read = readWaitOptions(options)
    this.peek(key, read.cost) // Throws for a wrong key or cost.
    return this.#parts.queues.wait(this, key, read)
  }

  /** For adapters: as {@link wait}, but not paced, and says why it refuses. */
  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<WaitResult<Decision>> {
    this.peek(key, cost)
    return this.#parts.queues.delay(this, key, cost, maxWaitMs, caller)
  }

  /** For adapters: counts a denial after {@link delay}, which counts none itself. */
  noteDenial(key: string, denial: Decision): void {
    const now = this.#now()
    this.#parts.native().denied(key, denial.policy, ...now)
  }

  /**
   * The state of each limit for the key, in the order of `limits`. Changes nothing.
   *
   * A {@link Decision} speaks of the limit that decides; headers that list all of them ask here.
   */
  standings(key: string): readonly LimitStatus[] {
    return this.limits.map((_, index) => {
      const now = this.#now()
      const native = this.#parts.native()
      native.standing(key, index, ...now)
      const [remaining = 0, moreMs = 0] = native.wide
      return { remaining, moreMs }
    })
  }

  /** Gives back `units` (default 1) to every limit, never more than the key owes. */
  refund(key: string, units?: number): void {
    const now = this.#now()
    this.#parts.native().refund(key, units, ...now)
    this.#parts.queues.wake(key)
  }

  /** Forgets the key, its block included. */
  reset(key: string): void {
    this.#parts.native().reset(key)
    this.#parts.queues.wake(key)
  }

  /**
   * Denies the key for `ms` milliseconds from now on, whatever its limits say; replaces an earlier block.
   *
   * @param ms 1 to 10 years
   * @throws Error with code TABLE_FULL when every slot the key may use holds another blocked key
   */
  block(key: string, ms: number): void {
    this.#parts.native().block(key, ms, ...this.#now())
  }

  abstract close(): void

  /** The last argument of a native call: what the injected clock shows, or nothing. */
  #now(): [] | [number] {
    const { clock } = this.#parts
    return clock === undefined ? [] : [clock.now()]
  }
}

/** Counters on this host for limits that change from call to call. */
export interface NativeVariableLimiter extends VariableLimiter {
  with(limits: readonly Limit[]): NativeLimiter
  /** Counts since the limiter was made. `bytes`: the most that its current tables can occupy. */
  stats(): LimiterStats
  reset(key: string): void
  close(): void
}

/**
 * One native limiter, which reads the limits of each call from a buffer.
 *
 * @throws TypeError or RangeError that names the option; with `shared` the codes of docs/reference/errors.md
 */
export function openVariableLimiter(options: RateLimiterOptions): NativeVariableLimiter {
  const resolved = resolveOptions(options)
  const { algorithm, blockForMs, capacity, clock } = resolved
  const counter = openCounter(resolved, undefined)
  const settings = {
    algorithm,
    blockForMs,
    ...(capacity === undefined ? {} : { capacity }),
    ...placeOf(counter),
  }
  const { native, close } = openCounted(counter, () =>
    openWatched(
      openVariable,
      settings,
      resolved,
      ({ check }) => check,
      () => {},
    ),
  )
  const queues = new LimiterQueues(algorithm, { ...resolved, counter })
  const windows = new Set<string>()
  /** The figures that are in the buffer. */
  let selected: readonly number[] | undefined
  return {
    with: (limits) => {
      warnOfManyWindows(limits, windows, resolved)
      const all = withBurst(limits, resolved)
      const figures = figuresOf(all)
      const select = (): NativeVariable => {
        if (selected !== figures) native.limits.set(figures)
        selected = figures
        return native
      }
      return new VariableTier(all, { native: select, clock, queues })
    },
    reset: (key) => {
      native.reset(key)
      queues.wake(key)
    },
    stats: () => readStats(native),
    close: () => {
      close()
      queues.close()
      counter?.close()
    },
  }
}

/** The counters under one set of limits. Has no state but the limits. */
class VariableTier extends NativeLimiter {
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
const TABLES: Readonly<Partial<Record<string, number>>> = {
  'fixed-window': 64,
  'sliding-window': 64,
  'sliding-log': 16,
}

/** The key of a table: the window, and in a log how many charges it holds. */
function tableOf({ count, windowMs }: Limit, algorithm: string): string {
  const places = algorithm === 'sliding-log' ? 2 ** Math.max(4, Math.ceil(Math.log2(count))) : 0
  return `${windowMs} ${places}`
}

/**
 * Limits with more different windows than there are tables are counted in the next longer window.
 *
 * @param windows all that the limiter has had, until the warning
 */
function warnOfManyWindows(
  limits: readonly Limit[],
  windows: Set<string>,
  { algorithm, name }: ResolvedOptions,
): void {
  const tables = TABLES[algorithm]
  if (tables === undefined || windows.size > tables) return
  for (const limit of limits) windows.add(tableOf(limit, algorithm))
  if (windows.size <= tables) return
  const whose = name === undefined ? 'a limiter' : `the limiter ${printable(name)}`
  const what = algorithm === 'sliding-log' ? 'windows and sizes of logs' : 'windows'
  process.emitWarning(
    `the limits of ${whose} have had more than ${tables} different ${what}; while all of these are in use, ` +
      'a further one is counted in the next longer window. Use fewer windows, or a token bucket',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_MANY_WINDOWS' },
  )
}
