import { failureOf, StoreFailure } from './failure.ts'

/** Failures in a row after which the store is no longer asked. */
const FAILURE_THRESHOLD = 3
const FIRST_PROBE_MS = 50
const LAST_PROBE_MS = 250
/** A server that answers too slowly is probed less and less often. */
const LAST_SLOW_PROBE_MS = 2_000
/** A server that times out again after fewer answers than this, within that time, has not recovered. */
const RECOVERED_AFTER = 100
const RECOVERED_AFTER_MS = 60_000
const MAX_RELAPSES = 6

const NEVER: number = Number.POSITIVE_INFINITY

/** Probes a server for its circuit breaker, and learns when the breaker opens and closes. */
export interface BreakerOwner {
  /** The shortest deadline among the callers, in milliseconds. */
  readonly shortestMs: number
  /** Asks the server for something harmless, and rejects if the server does not do it. Resolves to the milliseconds that took. */
  probe(breaker: CircuitBreaker): Promise<number>
  opened(breaker: CircuitBreaker, failure: StoreFailure): void
  /** A probe failed, or the server was slower than `shortestMs`. */
  stayedOpen(breaker: CircuitBreaker, failure: StoreFailure): void
  /** The server decides again, after `downMs` milliseconds. */
  closed(breaker: CircuitBreaker, downMs: number): void
}

/**
 * The circuit breaker of one server: lets calls pass while the server answers, and spares them the wait when
 * it does not.
 *
 * Opens after three failures in a row, or at once when the connection is gone. While it is open, no caller's
 * call is an experiment: the breaker probes the server itself, at growing and jittered intervals. Limiters
 * with different deadlines share it: it closes for those whose deadline a probe has met, and goes on probing
 * for the others.
 */
export class CircuitBreaker {
  /** Calls pass whose deadline is longer than this. */
  #blockedMs: number
  #failures = 0
  /** The longest time that the failures in a row were given. */
  #missedMs = 0
  #downSince = 0
  #closedAt = 0
  #answers = 0
  #relapses = 0
  #pauseMs = FIRST_PROBE_MS
  #timer: NodeJS.Timeout | undefined
  #isProbing = false
  #isNew: boolean
  #isStopped = false

  /** @param isAvailable whether calls may pass from the start; if not, the breaker probes */
  constructor(
    private readonly owner: BreakerOwner,
    isAvailable: boolean,
  ) {
    this.#blockedMs = isAvailable ? 0 : NEVER
    this.#isNew = !isAvailable
    if (!isAvailable) this.#startProbing()
  }

  /** Whether every caller's calls may pass. */
  get isAvailable(): boolean {
    return this.#blockedMs === 0
  }

  /** Whether calls with this deadline, in milliseconds, may pass. */
  isAvailableWithin(deadlineMs: number): boolean {
    return deadlineMs > this.#blockedMs
  }

  /** @param sentAt `performance.now()` when the call was sent */
  succeeded(sentAt: number): void {
    this.#answers++
    if (this.#failures === 0) return
    // A call with a longer deadline may be answered in time where others are not.
    if (performance.now() - sentAt <= this.#missedMs) this.#failures = 0
  }

  /** @param givenMs how long the call was given */
  failed(failure: StoreFailure, givenMs: number): void {
    const missedMs = failure.kind === 'timeout' ? givenMs : NEVER
    this.#missedMs = this.#failures === 0 ? missedMs : Math.max(this.#missedMs, missedMs)
    this.#failures++
    if (this.#failures >= FAILURE_THRESHOLD) this.open(failure, this.#missedMs)
  }

  /** Probes without waiting: something has changed for the better. */
  probeNow(): void {
    if (this.isAvailable || this.#isProbing || this.#isStopped) return
    clearTimeout(this.#timer)
    void this.#probe()
  }

  /** No more probes, and no more calls. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#blockedMs = NEVER
    this.#isStopped = true
  }

  /** Called whenever the breaker opens, or opens for more callers: what was measured may no longer hold. */
  protected onOpen(): void {}

  /**
   * Opens at once.
   *
   * @param ms for calls with at most this deadline. Default: for every call, as the connection is gone
   */
  open(failure: StoreFailure, ms: number = NEVER): void {
    if (this.#isStopped || ms <= this.#blockedMs) return
    const wasAvailable = this.isAvailable
    this.#blockedMs = ms
    this.#failures = 0
    this.onOpen()
    if (!wasAvailable) {
      this.owner.stayedOpen(this, failure)
      return
    }
    this.#countRelapse(failure)
    this.owner.opened(this, failure)
    this.#startProbing()
  }

  /** A round trip about as long as the deadline would otherwise open and close the breaker all the time. */
  #countRelapse(failure: StoreFailure): void {
    const isEarly = performance.now() - this.#closedAt < RECOVERED_AFTER_MS
    const isRelapse = failure.kind === 'timeout' && this.#closedAt > 0 && isEarly
    const relapses = isRelapse && this.#answers < RECOVERED_AFTER ? this.#relapses + 1 : 0
    this.#relapses = Math.min(MAX_RELAPSES, relapses)
  }

  #startProbing(): void {
    this.#downSince = performance.now()
    this.#pauseMs = FIRST_PROBE_MS * 2 ** this.#relapses
    if (!this.#isProbing) this.#probeLater(LAST_PROBE_MS)
  }

  #probeLater(maxMs: number): void {
    const jittered = this.#pauseMs * (0.75 + Math.random() / 2)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#probe(), jittered).unref()
    const max = Math.max(maxMs, FIRST_PROBE_MS * 2 ** this.#relapses)
    this.#pauseMs = Math.min(max, this.#pauseMs * 1.5)
  }

  async #probe(): Promise<void> {
    this.#isProbing = true
    try {
      this.#judge(await this.owner.probe(this))
    } catch (error) {
      this.#isProbing = false
      if (this.#isStopped) return
      const failure = failureOf(error)
      this.owner.stayedOpen(this, failure)
      this.#probeLater(failure.isLasting ? LAST_SLOW_PROBE_MS : LAST_PROBE_MS)
    }
  }

  #judge(tookMs: number): void {
    this.#isProbing = false
    if (this.#isStopped) return
    this.#failures = 0
    this.#answers = 0
    this.#closedAt = performance.now()
    // At first contact the calls themselves find out: those that waited for it have the time.
    if (tookMs < this.owner.shortestMs || this.#isNew) {
      this.#isNew = false
      this.#blockedMs = 0
      this.owner.closed(this, this.#closedAt - this.#downSince)
      return
    }
    this.#blockedMs = tookMs
    const failure = new StoreFailure('timeout', 'slow', `${Math.ceil(tookMs)} ms`)
    this.owner.stayedOpen(this, failure)
    this.#probeLater(LAST_SLOW_PROBE_MS)
  }
}
