import { type AsyncLimiter, refuseAllow } from '../async-limiter.ts'
import type { Decision } from '../decision.ts'
import { closedError, RateLimitExceeded } from '../errors.ts'
import type { Limit, LimitInput } from '../limit/limit.ts'
import type { CheckedLimits } from '../limit/literal.ts'
import { readLimits } from '../limit/parse.ts'
import type { LimitStatus, StoreStatus } from '../limiter.ts'
import type { Algorithm } from '../options.ts'
import { withBurst } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { checkDuration, checkKey, checkWhole } from '../remote/arguments.ts'
import { Leases } from '../remote/leases.ts'
import { LimiterQueues, type QueuedLimiter, readWaitOptions, type WaitOptions } from '../wait.ts'
import type { Caller, Outcome } from '../wait-queue.ts'
import type { Connection } from './connection.ts'
import type { RedisLimiterOptions } from './options.ts'
import { Store } from './redis-store.ts'
import { resolveRedisOptions } from './resolve.ts'
import type { RedisStorage } from './shared-connection.ts'
import type { RedisLimiterStats } from './tally.ts'

/**
 * Limits how often a key may do something, for all processes that share a Redis.
 *
 * ```ts
 * const limiter = new RedisLimiter('100/minute', { url: 'redis://127.0.0.1:6379/0', name: 'api' })
 * if (!(await limiter.check('user:42')).allowed) refuse()
 * ```
 *
 * Decides as {@link RateLimiter} does, from the clock of Redis, in one round trip whatever the number of
 * limits. Limiters with the same `keyPrefix`, `name`, limits and algorithm share their counters.
 * It has no `allow`, see {@link AsyncLimiter}.
 *
 * While Redis does not answer, `onError` decides; no call takes longer than `deadlineMs`, or before the first
 * connection than `connectTimeoutMs`, and none rejects because of Redis. Wrong arguments reject with a TypeError or RangeError that names them.
 */
export class RedisLimiter<const L extends LimitInput = LimitInput>
  implements AsyncLimiter<RedisLimiterStats>
{
  static {
    refuseAllow(RedisLimiter.prototype)
  }

  /** The limits, parsed, with the bursts they were given. All of them are charged, or none. */
  readonly limits: readonly Limit[]
  /** How requests are counted. */
  readonly algorithm: Algorithm
  /** The connection. Other limiters that are given it share it. */
  readonly storage: RedisStorage
  readonly #connection: Connection
  readonly #store: Store
  readonly #queues: LimiterQueues
  #queued: QueuedLimiter | undefined
  readonly #leases: Leases | undefined
  #closed = false

  /**
   * Connects in the background: a Redis that is away neither blocks nor throws.
   *
   * @param limits one or several limits, such as `'100/minute'` or `['10/second', '1000/hour']`
   * @param options see {@link RedisLimiterOptions}
   * @throws InvalidLimit, TypeError or RangeError naming the argument and what is accepted; Error with code
   * MISSING_IOREDIS
   */
  constructor(limits: CheckedLimits<L>, options: RedisLimiterOptions) {
    const parsed = readLimits(limits)
    const resolved = resolveRedisOptions(options)
    const { algorithm, blockForMs, lease } = resolved
    this.limits = withBurst(parsed, resolved)
    // The native core has the last word on what can be counted exactly.
    new RateLimiter(this.limits, { algorithm, blockFor: blockForMs, capacity: 1 }).close()
    this.algorithm = algorithm
    this.storage = resolved.storage
    const connection = this.storage.acquire()
    this.#connection = connection
    this.#store = new Store(this.limits, resolved, connection)
    this.#queues = new LimiterQueues(algorithm, resolved)
    this.#leases =
      lease === undefined
        ? undefined
        : new Leases(this.#store, lease, { limits: this.limits.length, blocks: blockForMs > 0 })
  }

  /** Charges `cost` (default 1) and says in full what that left, or why not. */
  check(key: string, cost = 1): Promise<Decision> {
    try {
      this.#check(key, cost, 'cost')
      const known = this.#known(key, cost)
      return known === undefined ? this.#ask(key, cost) : Promise.resolve(known)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** What {@link check} would answer now. Changes nothing. */
  async peek(key: string, cost = 1): Promise<Decision> {
    this.#check(key, cost, 'cost')
    const units = Math.max(1, cost)
    const known = this.#leases?.peek(key, units) ?? this.#recall(key, units)
    if (known !== undefined) return known
    this.#leases?.yield(key)
    return this.#store.peek(key, units)
  }

  /**
   * Charges `cost` (default 1).
   *
   * @throws RateLimitExceeded if it is denied
   */
  async consume(key: string, cost = 1): Promise<Decision> {
    const decision = await this.check(key, cost)
    if (!decision.allowed) throw new RateLimitExceeded(decision)
    return decision
  }

  /** As {@link check}, but a denial begins no block, and is neither remembered nor taken from memory. */
  async take(key: string, cost = 1): Promise<Decision> {
    return this.#take(key, cost, false)
  }

  /**
   * Waits until `cost` is admitted: first come, first served for each key among the callers of this
   * limiter. Other processes wait in lines of their own. With `leaky-bucket` work leaves evenly paced, for
   * all processes together; callers of {@link check} may overtake.
   *
   * @throws RateLimitExceeded when `maxWaitMs` does not suffice, nothing would, or as many wait already as
   * `maxWaitersPerKey` and `maxWaiters` let; the signal's reason when it is aborted. Nothing is charged
   * in either case.
   */
  async wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    const read = readWaitOptions(options)
    this.#check(key, read.cost, 'cost')
    return this.#queues.wait(this.#asQueued(), key, read)
  }

  /** For adapters: as {@link wait}, but not paced, and says why it refuses. */
  async delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): Promise<Outcome<Decision>> {
    this.#check(key, cost, 'cost')
    return this.#queues.delay(this.#asQueued(), key, cost, maxWaitMs, caller)
  }

  /** Gives back `units` (default 1) to every limit, never more than the key owes. */
  async refund(key: string, units = 1): Promise<void> {
    this.#check(key, units, 'units')
    await this.#store.refund(key, units)
    this.#queues.wake(key)
  }

  /** Forgets the key, its block included. */
  async reset(key: string): Promise<void> {
    this.#check(key, 0, 'cost')
    this.#leases?.drop(key)
    await this.#store.reset(key)
    this.#queues.wake(key)
  }

  /**
   * Denies the key for `ms` milliseconds from now on, whatever its limits say; replaces an earlier block.
   *
   * @param ms 1 to 10 years
   */
  async block(key: string, ms: number): Promise<void> {
    this.#check(key, 0, 'cost')
    checkDuration(ms)
    this.#leases?.drop(key)
    await this.#store.block(key, ms)
  }

  /**
   * Waits for the first connection, at most `connectTimeoutMs`, and says whether Redis decides. Never rejects,
   * and never waits once Redis has answered or could not be had in time.
   */
  async ready(): Promise<StoreStatus> {
    if (this.#closed) return { available: false, reason: 'closed' }
    return this.#connection.ready()
  }

  /** How each limit stood when `decision` was taken, in the order of `limits`. Asks no server. */
  standings(key: string, decision: Decision): readonly LimitStatus[] {
    return this.#store.standings(key, decision)
  }

  /** What this limiter has been through, in this process. */
  stats(): RedisLimiterStats {
    const { asked, deniedLocally, leased, failures } = this.#store.tally
    return {
      asked,
      deniedLocally,
      leased,
      failures: { ...failures },
      outages: this.#connection.nodes.outages,
      processes: this.#store.processes,
    }
  }

  /**
   * Lets go of the connection, which is closed with the last limiter that shares it; the counters stay in
   * Redis until they mean nothing any more. Callers that wait are turned away. Every later call but `close`
   * rejects with an Error with code CLOSED.
   */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#leases?.close()
      this.#store.close()
      await this.storage.release()
    } finally {
      // Last, so that who closes and then looks at a waiter's promise finds no rejection unhandled.
      this.#queues.close()
    }
  }

  /** What is decided without asking Redis. */
  #known(key: string, cost: number): Decision | undefined {
    if (cost === 0) return undefined
    return this.#leases?.serve(key, cost) ?? this.#recall(key, cost)
  }

  /** A denial of one unit. What a greater cost has to wait for, Redis has to be asked. */
  #recall(key: string, cost: number): Decision | undefined {
    return cost === 1 ? this.#store.recall(key) : undefined
  }

  #asQueued(): QueuedLimiter {
    this.#queued ??= {
      limits: this.limits,
      take: async (key, cost, isPaced) =>
        (isPaced ? this.#recall(key, cost) : undefined) ?? this.#take(key, cost, isPaced),
      peek: (key, cost) => this.peek(key, cost),
      refund: (key, units) => this.refund(key, units),
      standings: (key, denial) => this.standings(key, denial),
      aged: (denial, ms) => this.#store.aged(denial, ms),
    }
    return this.#queued
  }

  /** Units at hand were charged already, but not evenly paced. */
  async #take(key: string, cost: number, isPaced: boolean): Promise<Decision> {
    this.#check(key, cost, 'cost')
    if (cost === 0) return this.#store.peek(key, cost)
    const skips = isPaced && this.algorithm === 'leaky-bucket'
    const leased = skips ? undefined : this.#leases?.serve(key, cost)
    if (leased !== undefined) return leased
    this.#leases?.yield(key)
    return this.#store.take(key, cost, isPaced)
  }

  #ask(key: string, cost: number): Promise<Decision> {
    const leases = this.#leases
    if (cost === 0) return this.peek(key, cost)
    if (leases === undefined) return this.#store.check(key, cost)
    if (leases.covers(key, cost)) return leases.take(key, cost)
    leases.yield(key)
    return this.#store.check(key, cost)
  }

  #check(key: unknown, amount: unknown, name: string): void {
    if (this.#closed) throw closedError('the limiter is closed; make a new one')
    checkKey(key)
    checkWhole(amount, name)
  }
}
