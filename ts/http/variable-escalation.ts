import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { Limiter, LimitStatus, StoreStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { VariableLimiter } from '../variable/variable.ts'
import type { WaitOptions } from '../wait.ts'
import type { Caller, Outcome } from '../wait-queue.ts'

/** A tier that stands for another one at each call. */
class Turn implements Limiter {
  readonly limits: readonly Limit[] = []
  current: Limiter | undefined
  readonly #counters: VariableLimiter

  constructor(counters: VariableLimiter) {
    this.#counters = counters
  }

  get #tier(): Limiter {
    // Blocks and the like are the same under all limits.
    this.current ??= this.#counters.with([{ count: 1, windowMs: 1000 }])
    return this.current
  }

  check(key: string, cost?: number): MaybePromise<Decision> {
    return this.#tier.check(key, cost)
  }

  peek(key: string, cost?: number): MaybePromise<Decision> {
    return this.#tier.peek(key, cost)
  }

  take(key: string, cost?: number): MaybePromise<Decision> {
    return this.#tier.take(key, cost)
  }

  refund(key: string, units?: number): MaybePromise<void> {
    return this.#tier.refund(key, units)
  }

  block(key: string, ms: number): MaybePromise<void> {
    return this.#tier.block(key, ms)
  }

  reset(key: string): MaybePromise<void> {
    return this.#counters.reset(key)
  }

  wait(key: string, options?: WaitOptions): Promise<Decision> {
    return this.#tier.wait(key, options)
  }

  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<Outcome<Decision>> {
    return this.#tier.delay(key, cost, maxWaitMs, caller)
  }

  standings(key: string, decision: Decision): MaybePromise<readonly LimitStatus[]> {
    return this.#tier.standings(key, decision)
  }

  close(): MaybePromise<void> {
    return this.#counters.close()
  }
}

/** Growing blocks over limits that change: one memory of offences, whatever the limits were. */
export class VariableEscalation implements VariableLimiter {
  readonly #counters: VariableLimiter
  readonly #turn: Turn
  readonly #steps: Limiter

  /** @param wrap makes a tier that blocks for longer each time; it asks the given one before it waits */
  constructor(counters: VariableLimiter, wrap: (tier: Limiter) => Limiter) {
    this.#counters = counters
    this.#turn = new Turn(counters)
    this.#steps = wrap(this.#turn)
  }

  with(limits: readonly Limit[]): Limiter {
    const tier = this.#counters.with(limits)
    const steps = (): Limiter => {
      this.#turn.current = tier
      return this.#steps
    }
    return {
      limits: tier.limits,
      check: (key, cost) => steps().check(key, cost),
      peek: (key, cost) => steps().peek(key, cost),
      take: (key, cost) => tier.take(key, cost),
      refund: (key, units) => tier.refund(key, units),
      block: (key, ms) => tier.block(key, ms),
      reset: (key) => this.#steps.reset(key),
      wait: (key, options) => tier.wait(key, options),
      delay: (...asked) => tier.delay(...asked),
      standings: (key, decision) => steps().standings(key, decision),
      close: () => {},
    }
  }

  reset(key: string): MaybePromise<void> {
    return this.#steps.reset(key)
  }

  async ready(): Promise<StoreStatus> {
    return (await this.#counters.ready?.()) ?? { available: true, reason: undefined }
  }

  close(): MaybePromise<void> {
    return this.#steps.close()
  }
}
