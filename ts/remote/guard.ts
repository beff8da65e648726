import { type StoreStatus, withTimeout } from '../limiter.ts'
import { type BreakerOwner, CircuitBreaker } from './circuit-breaker.ts'
import { Deadlines } from './deadlines.ts'
import {
  cutOffFailure,
  type FailureReason,
  failureOf,
  OutageReporter,
  publish,
  StoreFailure,
  type StoreUser,
} from './failure.ts'
import type { RemoteSettings } from './options.ts'

/** A probe may take longer than a decision: no caller waits for it. */
const PROBE_MS = 1_000
/** A round trip is measured this often at most until it is short enough: one may be late by chance. */
const MAX_PROBES = 3

/** A call under way. */
export interface GuardedCall {
  /** Whether the caller has its answer, or was told that there is none. */
  readonly settled: boolean
  /** The reason of the failure if time runs out. Default: `'timeout'`. */
  lateReason: FailureReason
}

/** What a {@link Guard} does for a caller. */
export type GuardedWork<T> = (dueAt: number, call: GuardedCall) => Promise<T>

/** Of a limiter's options, what a guard keeps to. */
type GuardOptions = Pick<
  RemoteSettings,
  'processes' | 'deadlineMs' | 'connectTimeoutMs' | 'onError' | 'onStoreChange'
> & { readonly maxWaiters: number }

/** Reasons of failures that are about one key: the store answers. */
const ANSWERED: readonly string[] = ['contention', 'record']
/** The reason of a failure that says nothing about the store: as many callers wait as may. */
export const CROWDED = 'crowded'

/** The reporter of a store that several limiters share: an outage is reported once. */
const reporters = new WeakMap<GuardedStore, OutageReporter>()

/** What a {@link Guard} has to know of a store. */
export interface GuardedStore {
  /** The store's name in warnings, such as `'Memcached'`. */
  readonly name: string
  /** Connects if need be, asks for something harmless, and rejects if the store does not answer. */
  ping(): Promise<unknown>
  /** By reason of a failure: what an operator may do about it, or what it means. Default: none. */
  readonly hints?: Readonly<Record<string, string>>
}

/**
 * Keeps the calls to one store within their deadline, and stops asking a store that does not answer.
 *
 * A call settles by `deadlineMs`, whatever becomes of it; before the first connection it waits, for
 * `connectTimeoutMs` at most. After three failures in a row calls fail at once while the guard pings the store,
 * until it answers again. Outages are published, and reported once each.
 */
export class Guard implements BreakerOwner {
  /** See {@link BreakerOwner}. */
  readonly shortestMs: number
  readonly #store: GuardedStore
  readonly #options: GuardOptions
  readonly #breaker: CircuitBreaker
  readonly #deadlines: Deadlines
  readonly #user: StoreUser
  readonly #reporter: OutageReporter
  /** Resolves when the store has answered for the first time, or was waited for long enough. */
  readonly #started: Promise<void>
  #endStart: () => void = () => {}
  readonly #startTimer: NodeJS.Timeout
  #hasStarted = false
  /** Calls that wait for the first connection. */
  #waiting = 0
  #failure: StoreFailure | undefined
  #isAway = false
  #outages = 0

  constructor(store: GuardedStore, options: GuardOptions) {
    this.#store = store
    this.#options = options
    const { processes, deadlineMs, connectTimeoutMs } = options
    this.shortestMs = deadlineMs
    this.#deadlines = new Deadlines(deadlineMs)
    const from = processes === undefined ? 'nothing' : 'option'
    this.#user = { ...options, share: () => ({ parts: processes ?? 1, from }) }
    this.#reporter = reporters.get(store) ?? new OutageReporter(store.name, store.hints ?? {})
    reporters.set(store, this.#reporter)
    this.#reporter.users.add(this.#user)
    this.#started = new Promise((resolve) => {
      this.#endStart = resolve
    })
    this.#startTimer = setTimeout(() => this.#giveUpStart(), connectTimeoutMs).unref()
    this.#breaker = new CircuitBreaker(this, false)
    this.#breaker.probeNow()
  }

  /** How often the store stopped answering. */
  get outages(): number {
    return this.#outages
  }

  /** Waits for the first connection, and says whether the store decides. */
  async ready(): Promise<StoreStatus> {
    await this.#started
    return this.status
  }

  /** Whether the store decides now, as far as that is known. */
  get status(): StoreStatus {
    if (this.#breaker.isAvailable) return { available: true, reason: undefined }
    return { available: false, reason: this.#failure?.reason ?? 'disconnected' }
  }

  /**
   * Does the work within its deadline.
   *
   * @param work gets `performance.now()` by which it has to be done, and the call; what comes later is ignored
   * @param since `performance.now()` from which the deadline counts. Default: now
   * @throws StoreFailure
   */
  run<T>(work: GuardedWork<T>, since?: number): Promise<T> {
    if (!this.#hasStarted) return this.#runAfterStart(work)
    const { ms } = this.#deadlines
    if (!this.#breaker.isAvailableWithin(ms)) return Promise.reject(new StoreFailure('unavailable'))
    const now = performance.now()
    const from = since ?? now
    const dueAt = from + ms
    if (dueAt <= now) return Promise.reject(new StoreFailure('timeout'))
    // A call with so little time left says nothing about the store if it is late.
    const isShort = now - from > ms / 2
    return new Promise((resolve, reject) => {
      const fail = (failure: StoreFailure): void => {
        if (call.settled) return
        call.settled = true
        const isOwn = failure.reason === CROWDED || (isShort && failure.kind === 'timeout')
        if (ANSWERED.includes(failure.reason)) this.#breaker.succeeded(now)
        else if (!isOwn) this.#breaker.failed(failure, dueAt - now)
        reject(failure)
      }
      const call = {
        settled: false,
        dueAt,
        lateReason: 'timeout',
        expire: () => fail(new StoreFailure('timeout', call.lateReason)),
        cutOff: () => {
          call.settled = true
          reject(cutOffFailure())
        },
      }
      const succeed = (answer: T): void => {
        if (call.settled) return
        call.settled = true
        this.#breaker.succeeded(now)
        resolve(answer)
      }
      work(dueAt, call).then(succeed, (error: unknown) => fail(failureOf(error)))
      this.#deadlines.add(call, now)
    })
  }

  /** Ends the calls under way: each rejects, and nothing is charged for it any more. */
  close(): void {
    this.#breaker.stop()
    this.#reporter.users.delete(this.#user)
    this.#reporter.forget(this)
    this.#deadlines.cutOff()
    this.#finishStart()
  }

  /** See {@link BreakerOwner}. */
  probe(): Promise<number> {
    return shortestRoundTrip(this, PROBE_MS, () => this.#store.ping())
  }

  /** See {@link BreakerOwner}. */
  opened(_: CircuitBreaker, failure: StoreFailure): void {
    this.#isAway = true
    this.#outages++
    this.#failure = failure
    publish({ available: false, reason: failure.reason, node: '', downMs: 0 }, [this.#options])
    this.#reporter.begins(this, failure)
  }

  /** See {@link BreakerOwner}. */
  stayedOpen(_: CircuitBreaker, failure: StoreFailure): void {
    // What says less does not replace more.
    if (failure.weight >= (this.#failure?.weight ?? 0)) this.#failure = failure
    if (this.#hasStarted) this.#reporter.goesOn(failure)
  }

  /** See {@link BreakerOwner}. */
  closed(_: CircuitBreaker, downMs: number): void {
    this.#finishStart()
    if (!this.#isAway) return
    this.#isAway = false
    const reason = this.#failure?.reason ?? 'disconnected'
    publish({ available: true, reason, node: '', downMs }, [this.#options])
    this.#reporter.ends(this)
    this.#failure = undefined
  }

  async #runAfterStart<T>(work: GuardedWork<T>): Promise<T> {
    if (this.#waiting >= this.#options.maxWaiters) throw new StoreFailure('unavailable')
    this.#waiting++
    // A caller that waits keeps the process alive; a limiter alone does not.
    this.#startTimer.ref()
    await this.#started
    return this.run(work)
  }

  #giveUpStart(): void {
    this.#finishStart()
    this.opened(this.#breaker, this.#failure ?? new StoreFailure('timeout'))
  }

  #finishStart(): void {
    clearTimeout(this.#startTimer)
    this.#hasStarted = true
    this.#endStart()
  }
}

/**
 * The shortest of a few round trips in milliseconds, as soon as one is shorter than every deadline.
 *
 * @param ms longest that one may take
 * @param ask makes a round trip
 * @throws StoreFailure if one takes longer, or what `ask` rejects with
 */
export async function shortestRoundTrip(
  owner: BreakerOwner,
  ms: number,
  ask: (round: number) => Promise<unknown>,
): Promise<number> {
  let leastMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < MAX_PROBES && leastMs >= owner.shortestMs; round++) {
    const sentAt = performance.now()
    await withTimeout(ask(round), ms, () => new StoreFailure('timeout'))
    leastMs = Math.min(leastMs, performance.now() - sentAt)
  }
  return leastMs
}
