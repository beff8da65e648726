import { agedDenial, type Decision } from '../decision.ts'
import type { LimitStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { Pace } from '../wait-queue/pace.ts'
import {
  type Caller,
  type Later,
  type Outcome,
  type QueueOptions,
  WaitQueue,
} from '../wait-queue.ts'

/** Counters as one set of limits sees them, and what a line before them has to know. */
export interface QueuedTier {
  readonly pace: Pace
  /** The pace of those whom adapters delay. */
  readonly unpaced: Pace
  take(key: string, cost: number, isPaced: boolean): MaybePromise<Decision>
  peek(key: string, cost: number): MaybePromise<Decision>
  refund(key: string, units: number): MaybePromise<void>
  /** How each limit stood at a denial. */
  standings(key: string, denial: Decision): readonly LimitStatus[]
  aged(denial: Decision, ms: number): Decision
}

/** A key for which callers wait, and the limits that count for it. */
interface Waited {
  tier: QueuedTier
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
  /** Who gave a decision: a caller may be gone when it comes, and with it the line. */
  readonly #asked = new WeakMap<Decision, QueuedTier>()

  constructor(options: QueueOptions) {
    const source = {
      ask: (key: string, cost: number) => this.#ask(key, cost),
      peek: (key: string, cost: number) => this.#of(key).tier.peek(key, cost),
      aged: (denial: Decision, ms: number) =>
        this.#asked.get(denial)?.aged(denial, ms) ?? agedDenial(denial, ms),
      giveBack: (key: string, cost: number, decision: Decision): Decision => {
        const tier = decision.allowed && cost > 0 ? this.#asked.get(decision) : undefined
        const given = tier?.refund(key, cost)
        // One that fails leaves the unit charged: that errs towards denial, and there is no caller to tell.
        if (given instanceof Promise) given.catch(() => {})
        return decision
      },
    }
    this.#queue = new WaitQueue(source, options)
  }

  /** What joins a key's line under these limits, as {@link WaitQueue.join}. */
  joining(tier: QueuedTier, isPaced: boolean): WaitQueue<Decision>['join'] {
    return (key, cost, maxWaitMs, caller) => this.join(tier, isPaced, key, cost, maxWaitMs, caller)
  }

  /** Joins the key's line, as {@link WaitQueue.join}. The key and the cost have been checked. */
  join(
    tier: QueuedTier,
    isPaced: boolean,
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller | undefined,
  ): MaybePromise<Outcome<Decision>> {
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
  ): MaybePromise<Outcome<Decision>> {
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

  #ask(key: string, cost: number): MaybePromise<Decision | Later> {
    const { tier, isPaced } = this.#of(key)
    const next = (decision: Decision): Decision | Later => {
      this.#asked.set(decision, tier)
      if (decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY) return decision
      const pace: Pace = isPaced ? tier.pace : tier.unpaced
      return pace.later(decision, () => tier.standings(key, decision))
    }
    const taken = tier.take(key, cost, isPaced)
    return taken instanceof Promise ? taken.then(next) : next(taken)
  }

  /** There is one for each key that has a line. */
  #of(key: string): Waited {
    return this.#waited.get(key) as Waited
  }
}
