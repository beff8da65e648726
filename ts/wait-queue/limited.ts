import type { Decision } from '../decision.ts'
import type { LimitStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { type Later, type QueueOptions, WaitQueue } from '../wait-queue.ts'
import type { Pace } from './pace.ts'

/** What a queue before a limiter asks of it. */
export interface Limiting {
  /** Charges, and begins no block when it denies. */
  take(key: string, cost: number): MaybePromise<Decision>
  peek(key: string, cost: number): MaybePromise<Decision>
  refund(key: string, units: number): MaybePromise<void>
  /** How each limit stood at a denial. */
  standings(key: string, denial: Decision): readonly LimitStatus[]
  aged(denial: Decision, ms: number): Decision
}

/** The queue of those who wait for a limiter. */
export function queueBefore(
  limiting: Limiting,
  pace: Pace,
  options: QueueOptions,
): WaitQueue<Decision> {
  const next = (key: string, decision: Decision): Decision | Later => {
    const isFinal = decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY
    return isFinal ? decision : pace.later(decision, () => limiting.standings(key, decision))
  }
  const source = {
    ask: (key: string, cost: number): MaybePromise<Decision | Later> => {
      const taken = limiting.take(key, cost)
      return taken instanceof Promise
        ? taken.then((decision) => next(key, decision))
        : next(key, taken)
    },
    peek: (key: string, cost: number) => limiting.peek(key, cost),
    aged: (denial: Decision, ms: number) => limiting.aged(denial, ms),
    giveBack: (key: string, cost: number, decision: Decision): Decision => {
      const given = decision.allowed && cost > 0 ? limiting.refund(key, cost) : undefined
      // One that fails leaves the unit charged: that errs towards denial, and there is no caller to tell.
      if (given instanceof Promise) given.catch(() => {})
      return decision
    },
  }
  return new WaitQueue(source, options)
}
