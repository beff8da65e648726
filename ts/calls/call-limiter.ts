import { createForAdapter } from '../create.ts'
import type { Decision } from '../decision.ts'
import { ConcurrencyExceeded, RateLimitExceeded } from '../errors.ts'
import {
  andThen,
  type Limiter,
  type MaybePromise,
  readiness,
  type StoreStatus,
} from '../limiter.ts'
import { openPermits } from '../permits/open.ts'
import { type Permit, PermitRefused, type Permits } from '../permits/types.ts'
import { type CallOptions, readCallOptions } from './options.ts'

/** Why a call is refused. */
export type CallRefusal = RateLimitExceeded | ConcurrencyExceeded

/** A call that may go on. Whoever was given it calls `leave` once the call is over, however it ends. */
export class Entry {
  /** What the limits said; `undefined` where there are none. */
  readonly decision: Decision | undefined
  readonly #permit: Permit | undefined

  constructor(decision: Decision | undefined, permit: Permit | undefined) {
    this.decision = decision
    this.#permit = permit
  }

  /** Gives the permit back. Calling it again does nothing. */
  leave(): void {
    this.#permit?.release()
  }
}

/**
 * Limits calls that are no HTTP requests: messages of a socket, calls of gRPC, operations of GraphQL. Who calls, and
 * what a refusal looks like, is up to the protocol.
 *
 * Answers at once where the counters are in this process or on this host.
 */
export class CallLimiter {
  readonly #limiter: Limiter | undefined
  readonly #permits: Permits | undefined

  /**
   * @param place what the limiter is called without a name: it names its counters in a store, and its row in an insight
   * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
   */
  constructor(options: CallOptions, place: string) {
    const { limits, limiter, concurrent, permits } = readCallOptions(options, place)
    this.#limiter = limits && createForAdapter(limits, limiter)
    this.#permits = concurrent && openPermits(concurrent, permits)
  }

  /**
   * Takes a permit and charges the limits: both or neither.
   *
   * @param signal the caller has gone: a wait for a permit ends, and rejects with the signal's reason
   */
  enter(key: string, cost = 1, signal?: AbortSignal): MaybePromise<Entry | CallRefusal> {
    if (this.#permits === undefined) return this.#charge(key, cost, undefined)
    return andThen(this.#permits.enter(key, signal), (permit) =>
      permit instanceof PermitRefused
        ? new ConcurrencyExceeded(permit.reason, permit.limit)
        : this.#charge(key, cost, permit),
    )
  }

  #charge(
    key: string,
    cost: number,
    permit: Permit | undefined,
  ): MaybePromise<Entry | CallRefusal> {
    if (this.#limiter === undefined) return new Entry(undefined, permit)
    const conclude = (decision: Decision): Entry | CallRefusal => {
      if (decision.allowed) return new Entry(decision, permit)
      permit?.release()
      return new RateLimitExceeded(decision)
    }
    try {
      const decision = this.#limiter.check(key, cost)
      if (!(decision instanceof Promise)) return conclude(decision)
      return decision.then(conclude, (error: unknown) => {
        permit?.release()
        throw error
      })
    } catch (error) {
      permit?.release()
      throw error
    }
  }

  /** Charges the limits alone. A denial charges nothing. */
  check(key: string, cost = 1): MaybePromise<Decision | undefined> {
    return this.#limiter?.check(key, cost)
  }

  /** Gives units back. */
  refund(key: string, units: number): MaybePromise<void> {
    return this.#limiter?.refund(key, units)
  }

  /** Waits for the first connection to the store. Never rejects. */
  async ready(): Promise<StoreStatus> {
    const states = await Promise.all([
      this.#limiter === undefined ? undefined : readiness(this.#limiter),
      this.#permits?.ready(),
    ])
    return (
      states.find((state) => state?.available === false) ?? { available: true, reason: undefined }
    )
  }

  close(): void {
    void this.#limiter?.close()
    this.#permits?.close()
  }
}
