import { agedDenial, type Decision } from '../decision.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Answer } from '../tier.ts'
import type { Pace } from '../wait-queue/pace.ts'
import { type Caller, type Later, type Outcome, WaitQueue } from '../wait-queue.ts'
import type { VariableTier } from './native.ts'

/** A key for which callers wait, and the limits that count for it. */
interface Waited {
  tier: VariableTier
  isPaced: boolean
  callers: number
}

/**
 * One queue for callers with any limits: those of one key stand in one line. The line goes by the limits
 * that the last of them came with.
 */
export class VariableQueue {
  readonly #queue: WaitQueue<Decision>
  readonly #waited = new Map<string, Waited>()

  constructor(options: ResolvedOptions) {
    const source = {
      ask: (key: string, cost: number) => this.#ask(key, cost),
      peek: (key: string, cost: number) => this.#of(key).tier.peek(key, cost),
      aged: agedDenial,
      giveBack: (key: string, cost: number, decision: Decision): Decision => {
        if (decision.allowed && cost > 0) this.#of(key).tier.refund(key, cost)
        return decision
      },
    }
    this.#queue = new WaitQueue(source, options)
  }

  /** Joins the key's line, as {@link WaitQueue.join}. */
  join(
    tier: VariableTier,
    isPaced: boolean,
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller | undefined,
  ): Answer<Outcome<Decision>> {
    tier.peek(key, cost) // Throws for a wrong key or cost.
    const waited = this.#waited.get(key) ?? { tier, isPaced, callers: 0 }
    waited.tier = tier
    waited.callers++
    this.#waited.set(key, waited)
    const leave = (): void => {
      waited.callers--
      if (waited.callers === 0) this.#waited.delete(key)
    }
    return this.#joined(key, cost, maxWaitMs, caller, leave)
  }

  wake(key: string): void {
    if (this.#waited.has(key)) this.#queue.wake(key)
  }

  close(reason: unknown): void {
    this.#queue.close(reason)
  }

  #joined(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller | undefined,
    leave: () => void,
  ): Answer<Outcome<Decision>> {
    try {
      const outcome = this.#queue.join(key, cost, maxWaitMs, caller)
      if (outcome instanceof Promise) return outcome.finally(leave)
      leave()
      return outcome
    } catch (error) {
      leave()
      throw error
    }
  }

  #ask(key: string, cost: number): Decision | Later {
    const { tier, isPaced } = this.#of(key)
    const decision = tier.take(key, cost, isPaced)
    if (decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY) return decision
    const pace: Pace = isPaced ? tier.pace : tier.unpaced
    return pace.later(decision, () => tier.standings(key))
  }

  /** There is one for each key that has a line. */
  #of(key: string): Waited {
    return this.#waited.get(key) as Waited
  }
}
