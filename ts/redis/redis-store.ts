import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import { shortestOf } from '../options.ts'
import { Denials } from '../remote/denial-cache.ts'
import { type FailureKind, failureOf } from '../remote/failure.ts'
import { Fallback } from '../remote/fallback.ts'
import type { Grant, Lender } from '../remote/leases.ts'
import { agedBy, blockMsIn, chargedIn, decisionFrom, statusesIn } from '../remote/store-decision.ts'
import { Asker } from './asker.ts'
import type { Connection } from './connection.ts'
import type { ResolvedRedisOptions } from './resolve.ts'
import { SCRIPTS, type ScriptArgs } from './script/index.ts'
import { termsOf } from './script/policy-args.ts'
import type { Tally } from './tally.ts'

/** One limiter's counters: asks Redis, and decides without it where Redis has said enough or says nothing. */
export class Store implements Lender {
  readonly #limits: readonly Limit[]
  readonly #asker: Asker
  readonly #options: ResolvedRedisOptions
  readonly #fallback: Fallback
  readonly #denials: Denials | undefined
  readonly #tail: readonly string[]
  readonly #paced: `q${number}`

  constructor(limits: readonly Limit[], options: ResolvedRedisOptions, connection: Connection) {
    const { algorithm, blockForMs, localDenialsMs } = options
    const { mark, numbers } = termsOf(limits, algorithm)
    this.#limits = limits
    this.#options = options
    const asker = new Asker(options, connection, { mark, script: SCRIPTS[algorithm] })
    this.#asker = asker
    this.#fallback = new Fallback(limits, options, asker.circle, () => asker.parts)
    this.#denials = localDenialsMs === 0 ? undefined : new Denials(localDenialsMs)
    const [first, second, third, ...further] = numbers
    this.#tail = [first, second, third, [blockForMs, ...further].join(' ')] as string[]
    this.#paced = `q${shortestOf(limits) + 1}`
  }

  get tally(): Tally {
    return this.#asker.tally
  }

  /** Processes that share the limits: as told, as counted, or just this one. */
  get processes(): number {
    return this.#asker.processes
  }

  /** Whether Redis would be asked now about this key. */
  isAsked(key: string): boolean {
    return this.#asker.isAsked(key)
  }

  /** The denial that Redis has named for this key before, if it still holds. */
  recall(key: string): Decision | undefined {
    if (this.#denials?.any !== true) return undefined
    const known = this.#denials.find(key, this.#limits, this.#asker.now())
    if (known !== undefined) this.tally.deniedLocally++
    return known
  }

  /** @param since `performance.now()` when the caller came, if that was earlier */
  async check(key: string, cost: number, since?: number): Promise<Decision> {
    const askedAt = this.#asker.now()
    try {
      const decision = decisionFrom(await this.#ask('c', key, cost, since), this.#limits)
      this.#learn(key, cost, decision, askedAt)
      return decision
    } catch (error) {
      await this.#asker.note(error)
      return this.#fallback.check(key, cost)
    }
  }

  /**
   * As `check`, but a denial begins no block, and is not remembered: the caller waits for its turn.
   *
   * @param isPaced a leaky bucket admits only while the bucket of the limit with the shortest window is empty
   */
  async take(key: string, cost: number, isPaced: boolean): Promise<Decision> {
    const op = isPaced && this.#options.algorithm === 'leaky-bucket' ? this.#paced : 't'
    try {
      const decision = decisionFrom(await this.#ask(op, key, cost), this.#limits)
      if (decision.allowed) this.#denials?.forget(key)
      return decision
    } catch (error) {
      await this.#asker.note(error)
      return this.#fallback.take(key, cost, isPaced)
    }
  }

  /** A denial as it reads some milliseconds later, if nothing has happened to the key since. */
  aged(denial: Decision, ms: number): Decision {
    return agedBy(denial, ms)
  }

  /** See {@link Lender}. */
  async borrow(
    key: string,
    least: number,
    most: number,
    since: number,
  ): Promise<Grant | FailureKind> {
    const askedAt = this.#asker.now()
    try {
      const numbers = await this.#ask(most, key, least, since)
      const decision = decisionFrom(numbers, this.#limits)
      this.#learn(key, least, decision, askedAt)
      return { decision, granted: chargedIn(decision) }
    } catch (error) {
      await this.#asker.giveTurn()
      return failureOf(error).kind
    }
  }

  /** See {@link Lender}. */
  alone(key: string, cost: number, kind: FailureKind): Decision {
    this.tally.failed(kind)
    return this.#fallback.check(key, cost)
  }

  async peek(key: string, cost: number): Promise<Decision> {
    try {
      return decisionFrom(await this.#ask('p', key, cost), this.#limits)
    } catch (error) {
      await this.#asker.note(error)
      return this.#fallback.peek(key, cost)
    }
  }

  /** Gives back to what has charged: to Redis while it answers, else to what decides in its place. */
  async refund(key: string, units: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#tell('r', key, units, () => this.#fallback.refund(key, units))
  }

  /** See {@link Lender}. What Redis has charged is given back to Redis or not at all. */
  async giveBack(key: string, units: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#tell('r', key, units, () => {})
  }

  async block(key: string, ms: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#tell('b', key, ms, () => this.#fallback.block(key, ms))
  }

  async reset(key: string): Promise<void> {
    this.#denials?.forget(key)
    this.#fallback.reset(key)
    await this.#tell('d', key, 0, () => {})
  }

  /** What came with the decision; a fallback's decision speaks for all limits. */
  standings(key: string, decision: Decision): readonly LimitStatus[] {
    const known = statusesIn(decision) ?? this.#fallback.standings(key)
    if (known !== undefined) return known
    const { remaining, resetMs } = decision
    return this.#limits.map(() => ({ remaining, moreMs: resetMs }))
  }

  /** See {@link Lender}. */
  served(): void {
    this.tally.leased++
  }

  close(): void {
    this.#asker.close()
    this.#fallback.close()
    this.#asker.letGo()
  }

  #ask(
    op: ScriptArgs['op'],
    key: string,
    amount: number,
    since?: number,
  ): Promise<readonly number[]> {
    return this.#asker.ask(op, key, amount, this.#tail, since)
  }

  #tell(op: ScriptArgs['op'], key: string, amount: number, instead: () => void): Promise<void> {
    return this.#asker.tell(op, key, amount, this.#tail, instead)
  }

  /** Remembers a denial of one unit; an admission proves that what was remembered is out of date. */
  #learn(key: string, cost: number, decision: Decision, askedAt: number): void {
    if (decision.allowed) {
      if (this.#denials?.any === true) this.#denials.forget(key)
    } else if (cost === 1) this.#remember(key, decision, askedAt)
  }

  /** With `blockFor`, until the block ends: another denial after that begins another block. */
  #remember(key: string, decision: Decision, askedAt: number): void {
    if (this.#denials === undefined) return
    const blockMs = this.#options.blockForMs > 0 ? blockMsIn(decision) : 0
    const ms = blockMs > 0 ? Math.min(decision.retryAfterMs, blockMs) : decision.retryAfterMs
    const asked = { decision, limits: this.#limits, ms, askedAt }
    this.#denials.remember(key, asked, this.#asker.now())
  }
}
