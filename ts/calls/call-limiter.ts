import type { LimitCounter } from '../counting.ts'
import { type Decision, deniedFor } from '../decision.ts'
import { ConcurrencyExceeded, RateLimitExceeded } from '../errors.ts'
import { withoutStack } from '../http/response.ts'
import { andThen, type MaybePromise, type StoreStatus } from '../limiter.ts'
import { openPermits } from '../permits/open.ts'
import { type Permit, PermitRefused, type Permits } from '../permits/types.ts'
import { callerOf } from '../wait-queue/caller.ts'
import { Refused } from '../wait-queue/line.ts'
import { type CallCounters, openCounters } from './counters.ts'
import { type CallOptions, readCallOptions } from './options.ts'

/** Why a call is refused. */
export type CallRefusal = RateLimitExceeded | ConcurrencyExceeded

/** A call that may go on. Its adapter calls `leave` once the call is over, however it ends. */
export class Entry {
  /** What the limits said; `undefined` where there are none. */
  readonly decision: Decision | undefined
  /** In a dry run: why the call would have been refused. */
  readonly refusal: CallRefusal | undefined
  readonly #permit: Permit | undefined

  constructor(decision: Decision | undefined, permit: Permit | undefined, refusal?: CallRefusal) {
    this.decision = decision
    this.refusal = refusal
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
  /** Where an insight counts what the limits decide. */
  readonly row: LimitCounter | undefined
  readonly #counters: CallCounters | undefined
  readonly #permits: Permits | undefined
  readonly #isDryRun: boolean

  /**
   * @param place what an insight calls the limiter if it has no name
   * @param identity what names its counters in a store then. Default: the place
   * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
   */
  constructor(options: CallOptions, place: string, identity: string = place) {
    const read = readCallOptions(options, identity)
    this.#isDryRun = read.dryRun
    this.#counters = openCounters(read, place)
    this.row = this.#counters?.row
    try {
      this.#permits = read.concurrent && openPermits(read.concurrent, read.permits)
    } catch (error) {
      this.#counters?.close()
      throw error
    }
  }

  /**
   * Takes a permit and charges the limits: both or neither. In a dry run a call always enters.
   *
   * @param signal the caller has gone: a wait for a permit ends. Throws or rejects with the signal's reason, and holds
   * nothing
   */
  enter(key: string, cost = 1, signal?: AbortSignal): MaybePromise<Entry | CallRefusal> {
    signal?.throwIfAborted()
    if (this.#permits === undefined) return this.#charge(key, cost, undefined, signal)
    // A dry run holds no call back.
    const taken = this.#isDryRun ? this.#permits.take(key) : this.#permits.enter(key, signal)
    return andThen(taken, (permit) => {
      if (!(permit instanceof PermitRefused)) return this.#charge(key, cost, permit, signal)
      const { reason, limit } = permit
      const refusal = withoutStack(() => new ConcurrencyExceeded(reason, limit))
      return this.#isDryRun ? this.#charge(key, cost, undefined, signal, refusal) : refusal
    })
  }

  #charge(
    key: string,
    cost: number,
    permit: Permit | undefined,
    signal: AbortSignal | undefined,
    refusal?: CallRefusal,
  ): MaybePromise<Entry | CallRefusal> {
    try {
      signal?.throwIfAborted()
      const decision = this.#counters?.limiter.check(key, cost)
      if (!(decision instanceof Promise)) return this.#conclude(decision, permit, refusal)
      return decision.then(
        (found) => {
          if (signal?.aborted) permit?.release()
          signal?.throwIfAborted()
          return this.#conclude(found, permit, refusal)
        },
        (error: unknown) => {
          permit?.release()
          throw error
        },
      )
    } catch (error) {
      permit?.release()
      throw error
    }
  }

  #conclude(
    decision: Decision | undefined,
    permit: Permit | undefined,
    refusal: CallRefusal | undefined,
  ): Entry | CallRefusal {
    if (decision === undefined || decision.allowed) return new Entry(decision, permit, refusal)
    const denial = exceeded(decision)
    if (this.#isDryRun) return new Entry(decision, permit, refusal ?? denial)
    permit?.release()
    return denial
  }

  /** Charges the limits alone. A denial charges nothing. */
  check(key: string, cost = 1): MaybePromise<Decision | undefined> {
    return this.#counters?.limiter.check(key, cost)
  }

  /**
   * Charges the limits alone, if need be after a wait for its turn: first come, first served.
   *
   * @param signal the caller has gone: the wait rejects with its reason, and nothing is charged
   * @returns the denial where waiting is of no use, or as many wait as may (`maxWaiters`, `maxWaitersPerKey`)
   */
  wait(
    key: string,
    cost: number,
    signal: AbortSignal,
  ): MaybePromise<Decision | RateLimitExceeded | undefined> {
    signal.throwIfAborted()
    if (this.#counters === undefined) return undefined
    const { limiter } = this.#counters
    const asked = limiter.delay(key, cost, Number.POSITIVE_INFINITY, callerOf(signal))
    return andThen(asked, (outcome) => {
      if (!(outcome instanceof Refused)) return outcome.allowed ? outcome : exceeded(outcome)
      signal.throwIfAborted()
      limiter.noteDenial?.(key, outcome.decision)
      return exceeded(deniedFor(outcome.decision, 1))
    })
  }

  /** Gives units back. */
  refund(key: string, units: number): MaybePromise<void> {
    return this.#counters?.limiter.refund(key, units)
  }

  /** Forgets what the key has used. Its permits stay held. */
  reset(key: string): MaybePromise<void> {
    return this.#counters?.reset(key)
  }

  /** Waits for the first connection to the store. Never rejects. */
  async ready(): Promise<StoreStatus> {
    const states = await Promise.all([this.#counters?.ready(), this.#permits?.ready()])
    return (
      states.find((state) => state?.available === false) ?? { available: true, reason: undefined }
    )
  }

  /** Frees the counters. A limiter that was passed as storage stays open: it belongs to the program. */
  close(): void {
    this.#counters?.close()
    const closed = this.#permits?.close()
    // What a store says when its connection ends helps no caller.
    if (closed instanceof Promise) closed.catch(() => {})
  }
}

/** Clients see it, and no log: the stack would cost more than the decision. */
function exceeded(denial: Decision): RateLimitExceeded {
  return withoutStack(() => new RateLimitExceeded(denial))
}
