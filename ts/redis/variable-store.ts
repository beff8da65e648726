import type { Decision } from '../decision.ts'
import type { LimitStatus } from '../limiter.ts'
import { Denials } from '../remote/denial-cache.ts'
import { agedBy, blockMsIn, decisionFrom, reordered, statusesIn } from '../remote/store-decision.ts'
import { Asker } from './asker.ts'
import type { Connection } from './connection.ts'
import type { ResolvedRedisOptions } from './resolve.ts'
import { type ScriptArgs, VARIABLE_SCRIPTS } from './script/index.ts'
import { VariableFallback } from './variable-fallback.ts'
import { type VariableTerms, variableMark } from './variable-terms.ts'

/** Counters of limits that change from call to call: asks Redis, or decides without it. */
export class VariableStore {
  readonly #asker: Asker
  readonly #options: ResolvedRedisOptions
  readonly #fallback: VariableFallback
  readonly #denials: Denials | undefined

  constructor(options: ResolvedRedisOptions, connection: Connection) {
    const { algorithm, localDenialsMs } = options
    const kind = { mark: variableMark(algorithm), script: VARIABLE_SCRIPTS[algorithm] }
    const asker = new Asker(options, connection, kind)
    this.#options = options
    this.#asker = asker
    this.#fallback = new VariableFallback(options, asker.circle, () => asker.parts)
    this.#denials = localDenialsMs === 0 ? undefined : new Denials(localDenialsMs)
  }

  /** The denial that Redis has named before for this key and these limits, if it still holds. */
  recall({ limits }: VariableTerms, key: string): Decision | undefined {
    if (this.#denials?.any !== true) return undefined
    const known = this.#denials.find(key, limits, this.#asker.now())
    if (known !== undefined) this.#asker.tally.deniedLocally++
    return known
  }

  async check(terms: VariableTerms, key: string, cost: number): Promise<Decision> {
    const askedAt = this.#asker.now()
    try {
      const decision = await this.#ask('c', terms, key, cost)
      this.#learn(terms, key, cost, decision, askedAt)
      return decision
    } catch (error) {
      await this.#asker.note(error)
      return this.#fallback.check(terms.limits, key, cost)
    }
  }

  /** As `check`, but a denial begins no block, and is not remembered: the caller waits for its turn. */
  async take(terms: VariableTerms, key: string, cost: number, isPaced: boolean): Promise<Decision> {
    const paces = isPaced && this.#options.algorithm === 'leaky-bucket'
    try {
      const op: ScriptArgs['op'] = paces ? `q${terms.indices.length}` : 't'
      const decision = await this.#ask(op, terms, key, cost)
      if (decision.allowed) this.#denials?.forget(key)
      return decision
    } catch (error) {
      await this.#asker.note(error)
      return this.#fallback.take(terms.limits, key, cost, isPaced)
    }
  }

  async peek(terms: VariableTerms, key: string, cost: number): Promise<Decision> {
    try {
      return await this.#ask('p', terms, key, cost)
    } catch (error) {
      await this.#asker.note(error)
      return this.#fallback.peek(terms.limits, key, cost)
    }
  }

  async refund({ limits, tail }: VariableTerms, key: string, units: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#asker.tell('r', key, units, tail, () => this.#fallback.refund(limits, key, units))
  }

  async block({ limits, tail }: VariableTerms, key: string, ms: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#asker.tell('b', key, ms, tail, () => this.#fallback.block(limits, key, ms))
  }

  /** @param terms any: the key is forgotten under all */
  async reset({ tail }: VariableTerms, key: string): Promise<void> {
    this.#denials?.forget(key)
    this.#fallback.reset(key)
    await this.#asker.tell('d', key, 0, tail, () => {})
  }

  /** A denial as it reads some milliseconds later, if nothing has happened to the key since. */
  aged(_terms: VariableTerms, denial: Decision, ms: number): Decision {
    return agedBy(denial, ms)
  }

  /** What came with the decision; a fallback's decision speaks for all limits. */
  standings({ limits }: VariableTerms, key: string, decision: Decision): readonly LimitStatus[] {
    const known = statusesIn(decision) ?? this.#fallback.standings(limits, key)
    if (known !== undefined) return known
    const { remaining, resetMs } = decision
    return limits.map(() => ({ remaining, moreMs: resetMs }))
  }

  close(): void {
    this.#asker.close()
    this.#fallback.close()
    this.#asker.letGo()
  }

  async #ask(
    op: ScriptArgs['op'],
    terms: VariableTerms,
    key: string,
    cost: number,
  ): Promise<Decision> {
    const numbers = await this.#asker.ask(op, key, cost, terms.tail)
    return decisionFrom(reordered(numbers, terms), terms.limits)
  }

  /** Of one key the last denial is remembered, whichever limits it was about. */
  #learn(
    { limits }: VariableTerms,
    key: string,
    cost: number,
    decision: Decision,
    askedAt: number,
  ): void {
    if (this.#denials === undefined) return
    if (decision.allowed) this.#denials.forget(key)
    if (decision.allowed || cost !== 1) return
    const blockMs = this.#options.blockForMs > 0 ? blockMsIn(decision) : 0
    const ms = blockMs > 0 ? Math.min(decision.retryAfterMs, blockMs) : decision.retryAfterMs
    this.#denials.remember(key, { decision, limits, ms, askedAt }, this.#asker.now())
  }
}
