import { again, type Charge, timed } from './again.ts'
import { withBurst } from './burst.ts'
import type { Clock } from './clock.ts'
import { agedDenial, type Decision, readDecision } from './decision.ts'
import { RateLimitExceeded } from './errors.ts'
import { forget, noKey } from './last-key.ts'
import { burstOf, type Limit, type LimitInput } from './limit/limit.ts'
import type { CheckedLimits } from './limit/literal.ts'
import { readLimits } from './limit/parse.ts'
import type { Limiter, LimitStatus } from './limiter.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { type Native, type OpenOptions, open } from './native/binding.ts'
import { openShared } from './native/open.ts'
import { watchShared } from './native/shared.ts'
import {
  type Algorithm,
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
} from './options.ts'
import { LimiterQueues, type QueuedLimiter, readWaitOptions, type WaitOptions } from './wait.ts'
import type { Caller, Outcome } from './wait-queue.ts'

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
export class RateLimiter<const L extends LimitInput = LimitInput> implements Limiter {
  /** The limits, parsed, with the bursts they were given. All of them are charged, or none. */
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
  readonly #queues: LimiterQueues
  #queued: QueuedLimiter | undefined

  /**
   * @param limits one or several limits, such as `'100/minute'` or `['10/second', '1000/hour']`
   * @param options see {@link RateLimiterOptions}
   * @throws InvalidLimit, TypeError or RangeError naming the argument, the value and what is accepted; with
   * `shared` an Error with one of the codes of docs/reference/errors.md
   */
  constructor(limits: CheckedLimits<L>, options: RateLimiterOptions = {}) {
    const parsed = readLimits(limits)
    const resolved = resolveOptions(options)
    const { algorithm, name, shared, onMismatch, clock } = resolved
    this.limits = withBurst(parsed, resolved)
    this.algorithm = algorithm
    this.#clock = clock
    this.#queues = new LimiterQueues(algorithm, resolved)
    const toOpen = forNative(this.limits, resolved)
    const sharedName = shared ? name : undefined
    this.storage = sharedName === undefined ? 'memory:' : `shared:${sharedName}`
    this.#native =
      sharedName === undefined
        ? open(toOpen)
        : openShared(open, { ...toOpen, name: sharedName }, onMismatch)
    const last = noKey()
    const { allow, check } = this.#native
    this.allow = clock === undefined ? again(allow, last) : timed(allow, clock)
    this.#check = clock === undefined ? again(check, last) : timed(check, clock)
    if (sharedName !== undefined) {
      this.#endWatch = watchShared(this.#native, allow, sharedName, () => forget(last))
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
   * As {@link check}, but a denial begins no block: for callers who wait for their turn.
   *
   * @param isPaced a leaky bucket admits only while the bucket of the limit with the shortest window is
   * empty: one caller after the other, evenly. Default: false
   */
  take(key: string, cost?: number, isPaced = false): Decision {
    const take = isPaced ? this.#native.pace : this.#native.take
    return readDecision(take(key, cost, ...this.#now()) === undefined, this.#native)
  }

  /**
   * Waits until `cost` is admitted: first come, first served for each key. With `leaky-bucket` work leaves
   * evenly paced, at the rate of the limit with the shortest window from the first call on; callers of
   * {@link check} may overtake.
   *
   * @throws RateLimitExceeded when `maxWaitMs` does not suffice, nothing would, or as many wait already as
   * `maxWaitersPerKey` and `maxWaiters` let; the signal's reason when it is aborted. Nothing is charged
   * in either case.
   */
  async wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    const read = readWaitOptions(options)
    this.peek(key, read.cost) // Throws for a wrong key or cost.
    return this.#queues.wait(this.#asQueued(), key, read)
  }

  /** For adapters: as {@link wait}, but not paced, and says why it refuses. */
  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<Outcome<Decision>> {
    this.peek(key, cost)
    return this.#queues.delay(this.#asQueued(), key, cost, maxWaitMs, caller)
  }

  /**
   * How each limit stands for the key, in the order of `limits`. Changes nothing.
   *
   * A {@link Decision} speaks of the limit that decides; headers that list all of them ask here.
   */
  standings(key: string): readonly LimitStatus[] {
    return this.limits.map((_, index) => {
      this.#native.standing(key, index, ...this.#now())
      const [remaining = 0, moreMs = 0] = this.#native.wide
      return { remaining, moreMs }
    })
  }

  /** Gives back `units` (default 1) to every limit, never more than the key owes. */
  refund(key: string, units?: number): void {
    this.#native.refund(key, units, ...this.#now())
    this.#queues.wake(key)
  }

  /** Forgets the key, its block included. */
  reset(key: string): void {
    this.#native.reset(key)
    this.#queues.wake(key)
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
    this.#queues.close()
  }

  #asQueued(): QueuedLimiter {
    this.#queued ??= {
      limits: this.limits,
      take: (key, cost, isPaced) => this.take(key, cost, isPaced),
      peek: (key, cost) => this.peek(key, cost),
      refund: (key, units) => this.refund(key, units),
      standings: (key) => this.standings(key),
      aged: agedDenial,
    }
    return this.#queued
  }

  /** The last argument of a native call: what the injected clock shows, or nothing. */
  #now(): [] | [number] {
    return this.#clock === undefined ? [] : [this.#clock.now()]
  }
}

function forNative(limits: readonly Limit[], options: ResolvedOptions): OpenOptions {
  const { algorithm, blockForMs, capacity, name } = options
  return {
    counts: limits.map((limit) => limit.count),
    windowsMs: limits.map((limit) => limit.windowMs),
    bursts: limits.map(burstOf),
    algorithm,
    blockForMs,
    capacity: capacity ?? defaultCapacity(limits, algorithm),
    ...(name === undefined ? {} : { name }),
  }
}

/** Two slots a key, each of 16 bytes, and in a log 8 more for each unit of the count. */
function defaultCapacity(limits: readonly Limit[], algorithm: Algorithm): number {
  if (algorithm !== 'sliding-log') return DEFAULT_CAPACITY
  const bytesPerKey = 2 * limits.reduce((sum, limit) => sum + 16 + 8 * limit.count, 0)
  return Math.max(1, Math.min(DEFAULT_CAPACITY, Math.floor(DEFAULT_LOG_BYTES / bytesPerKey)))
}
