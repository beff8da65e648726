import { again, type Charge, forget, noKey, timed } from './again.ts'
import { type Native, type OpenOptions, open } from './binding.ts'
import type { Clock } from './clock.ts'
import { type Decision, readDecision } from './decision.ts'
import { RateLimitExceeded } from './exceeded.ts'
import type { Limit, LimitInput } from './limit/limit.ts'
import type { CheckedLimits } from './limit/literal.ts'
import { readLimits } from './limit/parse.ts'
import {
  type Algorithm,
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
} from './options.ts'
import { openShared } from './shared/open.ts'
import { watchShared } from './shared/watch.ts'
import type { Standing, Tier } from './tier.ts'
import { Lines, type WaitOptions } from './wait.ts'

/** What a limiter has been through. */
export interface LimiterStats {
  /** Keys that had to make room for others while they still owed something. Raise `capacity` if it grows. */
  readonly evictions: number
  /** Decisions taken on a budget that strangers share, because every slot held a blocked key. */
  readonly overflows: number
  /** The most memory this limiter can ever occupy, in bytes. */
  readonly bytes: number
}

/** A log of so many bytes at most, unless a capacity is asked for. */
const DEFAULT_LOG_BYTES = 256 * 1024 * 1024
const DEFAULT_CAPACITY = 100_000

/**
 * Limits how often a key may do something. Native, synchronous, exact under threads.
 *
 * ```ts
 * const limiter = new RateLimiter('100/minute')
 * if (!limiter.allow('user:42')) refuse()
 * ```
 *
 * Keys are strings of at most 1,048,576 characters, compared unit by unit; they are hashed with a secret
 * and never stored. A cost is a whole number from 0 to 2^53 - 1: 0 only asks, and one above the limit is
 * denied for ever (`retryAfterMs: Infinity`) and touches nothing. Anything else throws a TypeError or
 * RangeError that names the argument. A denial changes nothing.
 */
export class RateLimiter<const L extends LimitInput = LimitInput> implements Tier {
  /** The limits, parsed. All of them are charged, or none. */
  readonly limits: readonly Limit[]
  /** How requests are counted. */
  readonly algorithm: Algorithm
  /** Where the state lives, as option `storage` of adapters and of `createLimiter` takes it. */
  readonly storage: 'memory:' | `shared:${string}`
  /**
   * The hot path: charges `cost` (default 1) and says whether it was admitted. Allocates nothing, and
   * needs no `this`.
   */
  readonly allow: Charge
  readonly #native: Native
  readonly #check: Charge
  readonly #clock: Clock | undefined
  readonly #endWatch: (() => void) | undefined
  #lines: Lines | undefined

  /**
   * @param limits one or several limits, such as `'100/minute'` or `['10/second', '1000/hour']`
   * @param options see {@link RateLimiterOptions}
   * @throws InvalidLimit, TypeError or RangeError naming the argument, the value and what is accepted; with
   * `shared` an Error with one of the codes of docs/shared.md
   */
  constructor(limits: CheckedLimits<L>, options: RateLimiterOptions = {}) {
    this.limits = readLimits(limits)
    const resolved = resolveOptions(options)
    const { algorithm, name, shared, onMismatch, clock } = resolved
    this.algorithm = algorithm
    this.#clock = clock
    const toOpen = forNative(this.limits, resolved)
    const sharedName = shared ? name : undefined
    this.storage = sharedName === undefined ? 'memory:' : `shared:${sharedName}`
    this.#native =
      sharedName === undefined
        ? open(toOpen)
        : openShared({ ...toOpen, name: sharedName }, onMismatch)
    const last = noKey()
    const { allow, check } = this.#native
    this.allow = clock === undefined ? again(allow, last) : timed(allow, clock)
    this.#check = clock === undefined ? again(check, last) : timed(check, clock)
    if (sharedName !== undefined) {
      this.#endWatch = watchShared(this.#native, sharedName, () => forget(last))
    }
  }

  /** Charges `cost` and says in full what that left, or why not. */
  check(key: string, cost?: number): Decision {
    return readDecision(this.#check(key, cost), this.#native)
  }

  /** What {@link check} would answer now. Changes nothing. */
  peek(key: string, cost?: number): Decision {
    const objection = this.#native.peek(key, cost, ...this.#now())
    return readDecision(objection === undefined, this.#native)
  }

  /**
   * Charges `cost`.
   *
   * @throws RateLimitExceeded if it is denied
   */
  consume(key: string, cost?: number): Decision {
    const decision = this.check(key, cost)
    if (!decision.allowed) throw new RateLimitExceeded(decision)
    return decision
  }

  /**
   * Waits until `cost` is admitted: first come, first served for each key. With `leaky-bucket` this shapes
   * a stream of work to the limit's rate.
   *
   * @throws RateLimitExceeded when `maxWaitMs` does not suffice, or nothing would; the signal's reason
   * when it is aborted. Nothing is charged in either case.
   */
  async wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    this.#lines ??= new Lines(this, this.#clock)
    return this.#lines.wait(key, options)
  }

  /**
   * How each limit stands for the key, in the order of `limits`. Changes nothing.
   *
   * A {@link Decision} speaks of the limit that decides; headers that list all of them ask here.
   */
  standings(key: string): readonly Standing[] {
    return this.limits.map((_, index) => {
      this.#native.standing(key, index, ...this.#now())
      const [remaining = 0, moreMs = 0] = this.#native.wide
      return { remaining, moreMs }
    })
  }

  /** Gives back `units` (default 1) to every limit, never more than the key owes. */
  refund(key: string, units?: number): void {
    this.#native.refund(key, units, ...this.#now())
  }

  /** Forgets the key, its block included. */
  reset(key: string): void {
    this.#native.reset(key)
  }

  /**
   * Denies the key for `ms` milliseconds from now on, whatever its limits say; replaces an earlier block.
   *
   * @param ms 1 to 10 years
   * @throws Error with code TABLE_FULL when every slot the key may use holds another blocked key
   */
  block(key: string, ms: number): void {
    this.#native.block(key, ms, ...this.#now())
  }

  /** What this limiter has been through, all threads and processes that share it together. */
  stats(): LimiterStats {
    this.#native.stats()
    const [evictions = 0, overflows = 0, bytes = 0] = this.#native.wide
    return { evictions, overflows, bytes }
  }

  /**
   * Lets go of the state; its memory is free at once unless a limiter of the same name holds it too.
   * Whoever waits is turned away. Every later call throws an Error with code CLOSED, but `close`.
   */
  close(): void {
    this.#native.close()
    this.#endWatch?.()
    this.#lines?.close(
      Object.assign(new Error('the limiter was closed while waiting'), { code: 'CLOSED' }),
    )
  }

  /** The last argument of a native call: what the injected clock shows, or nothing. */
  #now(): [] | [number] {
    return this.#clock === undefined ? [] : [this.#clock.now()]
  }
}

function forNative(limits: readonly Limit[], options: ResolvedOptions): OpenOptions {
  const { algorithm, burst, blockForMs, capacity, name } = options
  return {
    counts: limits.map((limit) => limit.count),
    windowsMs: limits.map((limit) => limit.windowMs),
    algorithm,
    blockForMs,
    capacity: capacity ?? defaultCapacity(limits, algorithm),
    ...(burst === undefined ? {} : { burst }),
    ...(name === undefined ? {} : { name }),
  }
}

/** Two slots a key, each of 16 bytes, and in a log 8 more for each unit of the count. */
function defaultCapacity(limits: readonly Limit[], algorithm: Algorithm): number {
  if (algorithm !== 'sliding-log') return DEFAULT_CAPACITY
  const bytesPerKey = 2 * limits.reduce((sum, limit) => sum + 16 + 8 * limit.count, 0)
  return Math.max(1, Math.min(DEFAULT_CAPACITY, Math.floor(DEFAULT_LOG_BYTES / bytesPerKey)))
}
