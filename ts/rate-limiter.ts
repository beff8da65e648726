import { type Decision, readDecision } from './decision.ts'
import { RateLimitExceeded } from './errors.ts'
import { type Charge, forgetKey, noKey, skipRehash, withClock } from './last-key.ts'
import { burstOf, type Limit, type LimitInput } from './limit/limit.ts'
import type { CheckedLimits } from './limit/literal.ts'
import { readLimits } from './limit/parse.ts'
import { type Native, type OpenOptions, open } from './native/binding.ts'
import { openShared, watchShared } from './native/shared.ts'
import { type LimiterStats, NativeLimiter, readStats } from './native-limiter.ts'
import {
  type Algorithm,
  type RateLimiterOptions,
  type ResolvedOptions,
  resolveOptions,
  withBurst,
} from './options.ts'
import { LimiterQueues } from './wait.ts'

/** Most bytes of a log whose capacity is not given. */
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
export class RateLimiter<const L extends LimitInput = LimitInput> extends NativeLimiter {
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
  readonly #queues: LimiterQueues
  readonly #endWatch: (() => void) | undefined

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
    const all = withBurst(parsed, resolved)
    const toOpen = forNative(all, resolved)
    const sharedName = shared ? name : undefined
    const native =
      sharedName === undefined
        ? open(toOpen)
        : openShared(open, { ...toOpen, name: sharedName }, onMismatch)
    const queues = new LimiterQueues(algorithm, resolved)
    super(all, { native, clock, queues })
    this.algorithm = algorithm
    this.storage = sharedName === undefined ? 'memory:' : `shared:${sharedName}`
    this.#native = native
    this.#queues = queues
    const last = noKey()
    const { allow, check } = native
    this.allow = clock === undefined ? skipRehash(allow, last) : withClock(allow, clock)
    this.#check = clock === undefined ? skipRehash(check, last) : withClock(check, clock)
    if (sharedName !== undefined) {
      this.#endWatch = watchShared(native, allow, sharedName, () => forgetKey(last))
    }
  }

  /** Charges `cost` (default 1) and says in full what that left, or why not. */
  override check(key: string, cost?: number): Decision {
    return readDecision(this.#check(key, cost), this.#native)
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

  /** What this limiter has been through, all threads and processes that share it together. */
  stats(): LimiterStats {
    return readStats(this.#native)
  }

  /**
   * Lets go of the state; its memory is free at once unless another limiter of the same name holds it.
   * Waiting callers are rejected. Every later call but `close` throws an Error with code CLOSED.
   */
  override close(): void {
    this.#native.close()
    this.#endWatch?.()
    this.#queues.close()
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
