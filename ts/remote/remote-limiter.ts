import { setImmediate as turn } from 'node:timers/promises'
import { keepCounter } from '../counting.ts'
import type { Decision } from '../decision.ts'
import { closedError, RateLimitExceeded } from '../errors.ts'
import type { Limit } from '../limit/limit.ts'
import {
  type AsyncLimiter,
  type Limiter,
  refuseAllow,
  type StoreStatus,
  type VariableLimiter,
} from '../limiter.ts'
import { openCounter } from '../limiter-stats.ts'
import { openVariableLimiter } from '../native-limiter.ts'
import { type Algorithm, withBurst } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { LimiterQueues } from '../wait.ts'
import type { Backend } from './backend.ts'
import { DenialCache } from './denial-cache.ts'
import { type FailureKind, failureOf } from './failure.ts'
import { Fallback } from './fallback.ts'
import type { Leases } from './leases.ts'
import type { ResolvedRemoteOptions } from './options.ts'
import { RemoteView } from './remote-view.ts'
import { Tally } from './tally.ts'

/**
 * The limits with the bursts that each of them has.
 *
 * @throws TypeError or RangeError if the native core cannot count them exactly
 */
export function countableLimits(
  limits: readonly Limit[],
  options: ResolvedRemoteOptions,
): readonly Limit[] {
  const { algorithm, blockForMs } = options
  const counted = withBurst(limits, options)
  new RateLimiter(counted, { algorithm, blockFor: blockForMs, capacity: 1 }).close()
  return counted
}

/**
 * Limits how often a key may do something, for all processes that share a store behind a network. Decides as
 * `RateLimiter` does. It has no `allow`, see {@link AsyncLimiter}.
 *
 * While the store does not answer, `onError` decides; no call takes longer than `deadlineMs`, or before the first
 * connection than `connectTimeoutMs`, and none rejects because of the store. Wrong arguments reject with a
 * TypeError or RangeError that names them.
 */
export class RemoteLimiter
  extends RemoteView
  implements Omit<AsyncLimiter<RemoteLimiterStats>, 'storage'>
{
  static {
    refuseAllow(RemoteLimiter.prototype)
  }

  /** How requests are counted. */
  readonly algorithm: Algorithm

  /** @param limits as {@link countableLimits} returns them */
  constructor(limits: readonly Limit[], options: ResolvedRemoteOptions, backend: Backend) {
    super(limits, new RemoteState(limits, options, backend))
    this.algorithm = options.algorithm
    const { counter } = this.state.tally
    keepCounter(this, counter)
    counter?.serves(this)
  }

  /**
   * Charges `cost` (default 1).
   *
   * @throws RateLimitExceeded if it is denied
   */
  async consume(key: string, cost = 1): Promise<Decision> {
    const decision = await this.check(key, cost)
    if (!decision.allowed) throw new RateLimitExceeded(decision)
    return decision
  }

  /** What this limiter has been through, in this process. */
  stats(): RemoteLimiterStats {
    const { asked, denials, leases, failures, backend, options, tally } = this.state
    return {
      admitted: tally.admitted,
      denied: tally.denied,
      asked,
      deniedLocally: denials.served,
      leased: leases?.served ?? 0,
      failures: { ...failures },
      outages: backend.outages,
      processes: options.processes ?? Math.max(1, backend.sharing.processes),
    }
  }

  /** Whether the store decides, as far as this process knows. Takes no round trip. */
  storeStatus(): StoreStatus {
    const { isClosed, backend } = this.state
    if (isClosed) return { available: false, reason: 'closed' }
    return backend.status ?? { available: true, reason: undefined }
  }

  /**
   * Lets go of the connection, which is closed with the last limiter that shares it; the counters stay in the
   * store until nothing depends on them any more. Callers that wait, calls under way and every later call but `close`
   * reject with an Error with code CLOSED. The store may have charged a call that was under way.
   */
  override close(): Promise<void> {
    return this.state.close()
  }
}

/**
 * Counters in a store of callers whose limits may change: one state for each key, in which every call says which
 * limits count.
 */
export class RemoteVariableLimiter implements VariableLimiter {
  readonly #state: RemoteState
  /** For what is the same under all limits. */
  readonly #any: RemoteView

  constructor(options: ResolvedRemoteOptions, backend: Backend) {
    this.#state = new RemoteState(undefined, options, backend)
    this.#any = new RemoteView([{ count: 1, windowMs: 1_000 }], this.#state)
  }

  with(limits: readonly Limit[]): Limiter {
    const { options } = this.#state
    const counted = withBurst(limits, options)
    // The native core has the last word on what can be counted.
    const judge = openVariableLimiter({ algorithm: options.algorithm, capacity: 1 })
    try {
      judge.with(counted).peek('')
    } finally {
      judge.close()
    }
    return new RemoteView(counted, this.#state)
  }

  reset(key: string): Promise<void> {
    return this.#any.reset(key)
  }

  ready(): Promise<StoreStatus> {
    return this.#any.ready()
  }

  close(): Promise<void> {
    return this.#state.close()
  }
}

/** How long decisions without the store may go on before the event loop gets a turn. */
const TURN_MS = 10

/** What a limiter in a store has been through in this process. */
export interface RemoteLimiterStats {
  /**
   * Calls of `check`, `consume` and `wait`, and requests of adapters, of this object that were admitted and charged at
   * least one unit.
   */
  readonly admitted: number
  /** The same that were denied. */
  readonly denied: number
  /** Calls that were sent to the store. */
  readonly asked: number
  /** Denials for which the store did not have to be asked. */
  readonly deniedLocally: number
  /** Units that were served from leases. */
  readonly leased: number
  /** Calls that `onError` decided, by the kind of failure. */
  readonly failures: Readonly<Record<FailureKind, number>>
  /** How often the store, or a server of a cluster, stopped answering. */
  readonly outages: number
  /** Processes that share the limits. */
  readonly processes: number
}

/** What all views of one limiter share. */
export class RemoteState {
  readonly fallback: Fallback
  readonly denials: DenialCache
  /** Callers of `wait`, and requests that an adapter delays. */
  readonly queues: LimiterQueues
  leases: Leases | undefined
  /** What callers were told. */
  readonly tally: Tally
  isClosed = false
  #closing: Promise<void> | undefined
  asked = 0
  readonly failures: Record<FailureKind, number> = {
    timeout: 0,
    disconnected: 0,
    unavailable: 0,
    refused: 0,
    forbidden: 0,
    garbled: 0,
  }
  #turnedAt = 0

  /** @param limits undefined if they change from call to call */
  constructor(
    readonly limits: readonly Limit[] | undefined,
    readonly options: ResolvedRemoteOptions,
    readonly backend: Backend,
  ) {
    this.tally = new Tally(openCounter(options, limits, backend.tier ?? 'store'))
    const { counter } = this.tally
    this.queues = new LimiterQueues(options.algorithm, { ...options, counter })
    this.fallback = new Fallback(limits, options, backend.sharing)
    this.denials = new DenialCache(options)
  }

  /** Counts a call that the store did not answer. */
  recordFailure(error: unknown): Promise<void> {
    this.failures[failureOf(error).kind]++
    return this.yieldToEventLoop()
  }

  /** Yields, so that the process notices that the store is back even if a caller asks in a tight loop. */
  async yieldToEventLoop(): Promise<void> {
    if (performance.now() - this.#turnedAt < TURN_MS) return
    await turn()
    this.#turnedAt = performance.now()
  }

  /** For a call that was under way when the limiter was closed: rejects with code CLOSED, as soon as it has closed. */
  async refuseLate(): Promise<never> {
    await this.#closing?.catch(() => {})
    throw closedError('the limiter was closed while waiting')
  }

  /** Lets go of the store, and turns away the callers that wait. */
  close(): Promise<void> {
    if (!this.isClosed) this.tally.counter?.close()
    this.isClosed = true
    // Begins in a while: by then a call that learns of the end can wait for it.
    this.#closing ??= Promise.resolve().then(() => this.#close())
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.leases?.close()
      this.fallback.close()
      await this.backend.close()
    } finally {
      // Last: who closes and then looks at a waiter's promise must find no rejection unhandled.
      this.queues.close()
    }
  }
}
