import type { Decision } from '../decision.ts'
import { closedError } from '../errors.ts'
import type { Limit } from '../limit/limit.ts'
import type { Limiter, LimitStatus, StoreStatus } from '../limiter.ts'
import { withBurst } from '../options.ts'
import { checkDuration, checkKey, checkWhole } from '../remote/arguments.ts'
import { NativeVariableLimiter } from '../variable/native.ts'
import type { VariableLimiter } from '../variable/variable.ts'
import { LimiterQueues, type QueuedLimiter, readWaitOptions, type WaitOptions } from '../wait.ts'
import type { Caller, Outcome } from '../wait-queue.ts'
import type { Connection } from './connection.ts'
import type { RedisLimiterOptions } from './options.ts'
import { type ResolvedRedisOptions, resolveRedisOptions } from './resolve.ts'
import { VariableStore } from './variable-store.ts'
import { type VariableTerms, variableTermsOf } from './variable-terms.ts'

/** For what is the same under all limits. */
const ANY_LIMITS: readonly Limit[] = [{ count: 1, windowMs: 1_000 }]

/**
 * Counters in Redis of callers whose limits may change: one state for each key, in which every call says which
 * limits count. Units are not leased: those of one set of limits would not be known to the others.
 */
export class RedisVariableLimiter implements VariableLimiter {
  readonly #options: ResolvedRedisOptions
  readonly #connection: Connection
  readonly #store: VariableStore
  readonly #queues: LimiterQueues
  readonly #any: VariableTerms
  #closed = false

  /**
   * Connects in the background: a Redis that is away neither blocks nor throws.
   *
   * @throws TypeError or RangeError that names the option; Error with code MISSING_IOREDIS
   */
  constructor(options: RedisLimiterOptions) {
    const resolved = resolveRedisOptions(options)
    this.#options = resolved
    this.#any = this.#termsOf(ANY_LIMITS)
    this.#connection = resolved.storage.acquire()
    this.#store = new VariableStore(resolved, this.#connection)
    this.#queues = new LimiterQueues(resolved.algorithm, resolved)
  }

  with(limits: readonly Limit[]): Limiter {
    const own = withBurst(limits, this.#options)
    const { algorithm } = this.#options
    // The native core has the last word on what can be counted.
    const judge = new NativeVariableLimiter({ algorithm, capacity: 1 })
    try {
      judge.with(own).peek('')
    } finally {
      judge.close()
    }
    return new RedisVariableTier(this, this.#termsOf(own))
  }

  async check(tier: RedisVariableTier, key: string, cost: number): Promise<Decision> {
    this.#check(key, cost, 'cost')
    if (cost === 0) return this.peek(tier, key, 1)
    return this.#recall(tier, key, cost) ?? this.#store.check(tier.terms, key, cost)
  }

  async peek(tier: RedisVariableTier, key: string, cost: number): Promise<Decision> {
    this.#check(key, cost, 'cost')
    const units = Math.max(1, cost)
    return this.#recall(tier, key, units) ?? this.#store.peek(tier.terms, key, units)
  }

  async take(
    tier: RedisVariableTier,
    key: string,
    cost: number,
    isPaced: boolean,
  ): Promise<Decision> {
    this.#check(key, cost, 'cost')
    if (cost === 0) return this.#store.peek(tier.terms, key, 1)
    return this.#store.take(tier.terms, key, cost, isPaced)
  }

  async refund({ terms }: RedisVariableTier, key: string, units: number): Promise<void> {
    this.#check(key, units, 'units')
    await this.#store.refund(terms, key, units)
    this.#queues.wake(key)
  }

  async block({ terms }: RedisVariableTier, key: string, ms: number): Promise<void> {
    this.#check(key, 0, 'cost')
    checkDuration(ms)
    await this.#store.block(terms, key, ms)
  }

  async reset(key: string): Promise<void> {
    this.#check(key, 0, 'cost')
    await this.#store.reset(this.#any, key)
    this.#queues.wake(key)
  }

  /** @param isPaced one caller after the other, if the bucket leaks */
  async wait(tier: RedisVariableTier, key: string, options: WaitOptions): Promise<Decision> {
    const read = readWaitOptions(options)
    this.#check(key, read.cost, 'cost')
    return this.#queues.wait(tier, key, read)
  }

  async delay(
    tier: RedisVariableTier,
    key: string,
    cost: number,
    ms: number,
    caller: Caller,
  ): Promise<Outcome<Decision>> {
    this.#check(key, cost, 'cost')
    return this.#queues.delay(tier, key, cost, ms, caller)
  }

  standings({ terms }: RedisVariableTier, key: string, decision: Decision): readonly LimitStatus[] {
    return this.#store.standings(terms, key, decision)
  }

  aged({ terms }: RedisVariableTier, denial: Decision, ms: number): Decision {
    return this.#store.aged(terms, denial, ms)
  }

  async ready(): Promise<StoreStatus> {
    if (this.#closed) return { available: false, reason: 'closed' }
    return this.#connection.ready()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#store.close()
      await this.#options.storage.release()
    } finally {
      // Last, so that who closes and then looks at a waiter's promise finds no rejection unhandled.
      this.#queues.close()
    }
  }

  #termsOf(limits: readonly Limit[]): VariableTerms {
    const { algorithm, blockForMs } = this.#options
    return variableTermsOf(limits, algorithm, blockForMs)
  }

  /** A denial of one unit. What a greater cost has to wait for, Redis has to be asked. */
  #recall({ terms }: RedisVariableTier, key: string, cost: number): Decision | undefined {
    return cost === 1 ? this.#store.recall(terms, key) : undefined
  }

  #check(key: unknown, amount: unknown, name: string): void {
    if (this.#closed) throw closedError('the limiter is closed; make a new one')
    checkKey(key)
    checkWhole(amount, name)
  }
}

/** The counters as one set of limits sees them. Has no state but the limits. */
class RedisVariableTier implements Limiter, QueuedLimiter {
  readonly terms: VariableTerms
  readonly #limiter: RedisVariableLimiter

  constructor(limiter: RedisVariableLimiter, terms: VariableTerms) {
    this.terms = terms
    this.#limiter = limiter
  }

  get limits(): readonly Limit[] {
    return this.terms.limits
  }

  check(key: string, cost = 1): Promise<Decision> {
    return this.#limiter.check(this, key, cost)
  }

  peek(key: string, cost = 1): Promise<Decision> {
    return this.#limiter.peek(this, key, cost)
  }

  take(key: string, cost = 1, isPaced = false): Promise<Decision> {
    return this.#limiter.take(this, key, cost, isPaced)
  }

  refund(key: string, units = 1): Promise<void> {
    return this.#limiter.refund(this, key, units)
  }

  block(key: string, ms: number): Promise<void> {
    return this.#limiter.block(this, key, ms)
  }

  reset(key: string): Promise<void> {
    return this.#limiter.reset(key)
  }

  wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    return this.#limiter.wait(this, key, options)
  }

  delay(key: string, cost: number, ms: number, caller: Caller): Promise<Outcome<Decision>> {
    return this.#limiter.delay(this, key, cost, ms, caller)
  }

  standings(key: string, decision: Decision): readonly LimitStatus[] {
    return this.#limiter.standings(this, key, decision)
  }

  aged(denial: Decision, ms: number): Decision {
    return this.#limiter.aged(this, denial, ms)
  }

  ready(): Promise<StoreStatus> {
    return this.#limiter.ready()
  }

  /** Nothing of its own to let go of. */
  close(): void {}
}
