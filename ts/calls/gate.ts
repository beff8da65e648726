import type { Decision } from '../decision.ts'
import { RequestRefused } from '../errors.ts'
import type { HttpAdapter } from '../http/adapter.ts'
import { ClientResolver, type KeyAsker, resolveKey } from '../http/client.ts'
import { ADMIT, Events, Warnings, warnOfSeveralProcesses } from '../http/events.ts'
import { errorOf, type Outcome } from '../http/response.ts'
import { type HttpShield, openShield } from '../http/shield.ts'
import { andThen, type MaybePromise, type StoreStatus, toPromise, withTimeout } from '../limiter.ts'
import { nextLimiterName } from '../storage-url.ts'
import { CallLimiter, type CallRefusal, Entry } from './call-limiter.ts'
import { adapterOf, type CallFace } from './face.ts'
import type { ReadGateOptions } from './gate-options.ts'
import type { CallOptions } from './options.ts'
import { RouteCounts } from './route-counts.ts'

/** Why a call is not served: over its limits, without a permit, refused by the shield, or without a key. */
export type Refusal = CallRefusal | RequestRefused

/** A call that may go on. Its adapter calls `leave` once the call is over, however it ends. */
export class Admission {
  /** What it is counted by; `undefined` for one that is not counted. */
  readonly key: string | undefined
  readonly #entries: readonly Entry[]

  constructor(key: string | undefined, entries: readonly Entry[]) {
    this.key = key
    this.#entries = entries
  }

  /** The decision of its limits, if it has any. */
  get decision(): Decision | undefined {
    return this.#entries.find(({ decision }) => decision !== undefined)?.decision
  }

  leave(): void {
    for (const entry of this.#entries) entry.leave()
  }
}

/** Asks about a call: {@link CallGate.admit}. */
export interface Arrival {
  /** All of them are charged, or none. Permits first: a call over its limits then has cost nothing. */
  readonly limiters: readonly CallLimiter[]
  /** Whether a key is needed without limiters: for what is counted later, such as messages. */
  readonly isKeyed?: boolean
  /** Whether it is not counted, whatever the limits: option `skip`. The shield is asked all the same. */
  readonly isExempt?: (() => boolean | PromiseLike<boolean>) | undefined
  readonly cost?: number
  /** The caller has gone. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Stands before the calls of one server of any protocol: shield, key, permits, limits, hooks, insight. What a refusal
 * looks like is up to the protocol.
 */
export class CallGate<Call extends object> {
  readonly warnings: Warnings = new Warnings()
  readonly #asker: KeyAsker
  readonly #events: Events
  readonly #shield: HttpShield | undefined
  readonly #limiters: CallLimiter[] = []
  readonly #read: ReadGateOptions
  readonly #counts: RouteCounts | undefined
  readonly #place: string
  readonly #identity: string

  /**
   * @param place what an insight calls limiters without a name
   * @throws TypeError or RangeError that names the option, its value and what is accepted
   */
  constructor(read: ReadGateOptions, face: CallFace<Call>, place: string) {
    const { gate, shield, common, expectsMissingKeys } = read
    // To what is shared with HTTP, calls are objects.
    const adapter = adapterOf(face) as HttpAdapter<never, never> as HttpAdapter
    this.#read = read
    this.#place = common.name ?? place
    this.#identity = common.name ?? `${place} ${nextLimiterName()}`
    this.#events = new Events(gate, this.warnings)
    const client = new ClientResolver(adapter, gate.trust, this.warnings)
    this.#asker = { options: gate, client, events: this.#events, expectsMissingKeys }
    const { trust, onError } = read.own as { trust?: never; onError?: never }
    const { dryRun, insight, onDeny } = gate
    this.#shield = openShield(
      // Hooks have been checked; `limits` says that something stands behind a shield that is off.
      { shield, trust, dryRun, insight, onDeny, onError, name: common.name, limits: '1/second' },
      adapter,
      this.warnings,
    )
    this.#counts = insight && new RouteCounts(insight, adapter, this.#place)
    warnOfSeveralProcesses(common.storage, this.warnings)
  }

  /**
   * Opens a limiter behind the gate, which closes it.
   *
   * @param part what tells it from the others behind the gate; `''` for the first
   */
  open(own: Pick<CallOptions, 'limits' | 'concurrent'>, part: string): CallLimiter {
    const { common } = this.#read
    const named = (name: string): string => (part === '' ? name : `${name} ${part}`)
    const name = common.name === undefined ? undefined : named(common.name)
    const identity = named(this.#identity)
    const limiter = new CallLimiter({ ...common, ...own, name }, named(this.#place), identity)
    this.#limiters.push(limiter)
    return limiter
  }

  /**
   * Decides about a call, at once where the counters are in this process or on this host and no function of the user's
   * is asynchronous.
   *
   * @throws the signal's reason, or rejects with it, if the caller has gone; nothing else
   */
  admit(call: Call, arrival: Arrival): MaybePromise<Admission | Refusal> {
    try {
      const shielded = this.#shield?.decide(call, call)
      const found = andThen<Outcome, Admission | Refusal>(shielded, (outcome) =>
        outcome === undefined
          ? this.#count(call, arrival)
          : this.#refusedByShield(call, arrival, outcome),
      )
      if (!(found instanceof Promise)) return found
      return found.catch((error: unknown) => this.#failed(call, arrival, error))
    } catch (error) {
      return this.#failed(call, arrival, error)
    }
  }

  #refusedByShield(call: Call, { limiters }: Arrival, outcome: NonNullable<Outcome>): Refusal {
    if (this.#counts !== undefined) {
      this.#shield?.count(outcome, call, { counts: this.#counts.of(limiters) })
    }
    return errorOf(outcome)
  }

  #count(call: Call, arrival: Arrival): MaybePromise<Admission | Refusal> {
    const { limiters, isExempt } = arrival
    if (isExempt === undefined) return this.#identify(call, arrival)
    return andThen(this.#askExempt(call, isExempt), (exempt) => {
      if (exempt !== true) return this.#identify(call, arrival)
      this.#counts?.of(limiters).count(call, 'exempt')
      return new Admission(undefined, [])
    })
  }

  /** A function that fails exempts no call, as in HTTP. */
  #askExempt(call: Call, isExempt: NonNullable<Arrival['isExempt']>): MaybePromise<boolean> {
    const failed = (error: unknown): boolean => {
      this.#events.failed(call, error)
      return false
    }
    try {
      const asked = toPromise(isExempt())
      if (!(asked instanceof Promise)) return asked
      const { keyTimeoutMs } = this.#read.gate
      return withTimeout(asked, keyTimeoutMs, 'the skip function').catch(failed)
    } catch (error) {
      return failed(error)
    }
  }

  #identify(call: Call, arrival: Arrival): MaybePromise<Admission | Refusal> {
    const { limiters, isKeyed = false } = arrival
    this.#asker.client.warnOfStrayHeader(call)
    if (limiters.length === 0 && !isKeyed) return new Admission(undefined, [])
    return andThen(resolveKey(this.#asker, call), (key) => this.#enter(call, key, arrival))
  }

  #enter(call: Call, key: string, arrival: Arrival): MaybePromise<Admission | Refusal> {
    return andThen(enterAll(key, arrival), (entered) => {
      if (entered instanceof Error) return this.#denied(call, key, arrival, entered)
      this.#entered(call, key, arrival, entered)
      return new Admission(key, entered)
    })
  }

  #denied(call: Call, key: string, { limiters }: Arrival, refusal: CallRefusal): Refusal {
    this.#counts?.of(limiters).count(call, 'denied')
    this.#events.denied(call, key, refusal.decision, false)
    return refusal
  }

  #entered(call: Call, key: string, { limiters }: Arrival, entries: readonly Entry[]): void {
    const refusal = entries.find((entry) => entry.refusal !== undefined)?.refusal
    this.#counts?.of(limiters).count(call, refusal === undefined ? 'admitted' : 'dry')
    if (refusal !== undefined) {
      this.#events.denied(call, key, refusal.decision, true)
      return
    }
    if (this.#events.hooks.onAdmit === undefined && !ADMIT.hasSubscribers) return
    const decided = entries.find(({ decision }) => decision !== undefined)?.decision
    if (decided !== undefined) {
      this.#events.admitted(call, key, decided, this.#read.gate.dryRun)
    }
  }

  /** A caller is told nothing about a failure, and is not served. In a dry run it is. */
  #failed(call: Call, { limiters, signal }: Arrival, error: unknown): Admission | Refusal {
    if (signal?.aborted && error === signal.reason) throw error
    const isDryRun = this.#read.gate.dryRun
    this.#counts?.of(limiters).withoutDecision(call, error, isDryRun)
    const isRefusal = error instanceof RequestRefused
    if (!isRefusal || isDryRun) this.#events.failed(call, error)
    if (isDryRun) return new Admission(undefined, [])
    return isRefusal ? error : new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
  }

  /** Reports a failure of something that the protocol itself asked. */
  failed(call: Call, error: unknown): void {
    this.#events.failed(call, error)
  }

  /**
   * Reports a denial of something that the protocol itself asked, such as for a message.
   *
   * @param key `undefined`, as the decision, for a call that was refused without being counted
   */
  denied(call: Call, key: string | undefined, decision: Decision | undefined): void {
    this.#events.denied(call, key, decision, this.#read.gate.dryRun)
  }

  /** Waits for the first connection to the store. Never rejects. */
  async ready(): Promise<StoreStatus> {
    const states = await Promise.all(this.#limiters.map((limiter) => limiter.ready()))
    return states.find(({ available }) => !available) ?? { available: true, reason: undefined }
  }

  /** Frees the counters. Later calls are refused. */
  close(): void {
    for (const limiter of this.#limiters) limiter.close()
    this.#shield?.close()
  }
}

/** Enters all limiters, one after the other, or none. */
function enterAll(
  key: string,
  { limiters, cost = 1, signal }: Arrival,
): MaybePromise<readonly Entry[] | CallRefusal> {
  const entries: Entry[] = []
  const undo = (): void => {
    for (const [i, entry] of entries.entries()) {
      entry.leave()
      if (!entry.decision?.allowed) continue
      const refunded = limiters[i]?.refund(key, cost)
      // If it fails the unit stays charged: that errs towards denial.
      if (refunded instanceof Promise) refunded.catch(() => {})
    }
  }
  const enter = (i: number): MaybePromise<readonly Entry[] | CallRefusal> => {
    const limiter = limiters[i]
    if (limiter === undefined) return entries
    return andThen(limiter.enter(key, cost, signal), (entered) => {
      if (entered instanceof Entry) {
        entries.push(entered)
        return enter(i + 1)
      }
      undo()
      return entered
    })
  }
  const undoAfter = (error: unknown): never => {
    undo()
    throw error
  }
  try {
    const all = enter(0)
    return all instanceof Promise ? all.catch(undoAfter) : all
  } catch (error) {
    return undoAfter(error)
  }
}
