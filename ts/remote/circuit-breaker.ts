import type { Question } from '../redis/call.ts'
import { Skew } from '../redis/clock-offset.ts'
import { failureOf, StoreFailure } from './failure.ts'

/** Failures in a row after which Redis is no longer asked. */
const PATIENCE = 3
const FIRST_PROBE_MS = 50
const LAST_PROBE_MS = 250
/** A server that answers too slowly is probed less and less often. */
const LAST_SLOW_PROBE_MS = 2_000
/** A server that times out again after fewer answers than this, within that time, has not recovered. */
const RECOVERED_AFTER = 100
const RECOVERED_AFTER_MS = 60_000
const MOST_RELAPSES = 6

const SHUT: number = Number.POSITIVE_INFINITY

/** What is done about a gate that shuts, probes and opens. */
export interface GateKeeper {
  /** The shortest deadline among the callers, in milliseconds. */
  readonly shortestMs: number
  shut(gate: Gate, failure: StoreFailure): void
  /** Asks the server for something harmless, and rejects if it does not do it. Says how long that took. */
  probe(gate: Gate): Promise<number>
  /** A probe failed, or the server was slower than `shortestMs`. */
  stillShut(gate: Gate, failure: StoreFailure): void
  opened(gate: Gate, downMs: number): void
}

/**
 * Stands before one server: lets calls pass while it answers, and spares them the wait when it does not.
 *
 * Shut after three failures in a row, or at once when the connection is gone. While it is shut, no caller's
 * call is an experiment: it probes by itself, at growing and jittered intervals. Limiters with different
 * deadlines share it: it opens for those whose deadline a probe has met, and probes on for the others.
 */
export class Gate {
  /** Of a cluster: the server, as `host:port`. */
  readonly node: string
  /** The server's clock. */
  readonly skew: Skew = new Skew()
  /** What was asked here last and failed: a probe asks the like. */
  sample: Question | undefined
  /** The name of what failed here last. */
  place = ''
  readonly #keeper: GateKeeper
  /** Calls pass whose deadline is longer than this. */
  #above: number
  #failures = 0
  /** The longest time that the failures in a row were given. */
  #missedMs = 0
  #downSince = 0
  #openedAt = 0
  #answers = 0
  #relapses = 0
  #pauseMs = FIRST_PROBE_MS
  #timer: NodeJS.Timeout | undefined
  #busy = false
  #isNew: boolean
  #closed = false

  /** @param open whether calls may pass; if not, it probes */
  constructor(node: string, keeper: GateKeeper, open: boolean) {
    this.node = node
    this.#keeper = keeper
    this.#above = open ? 0 : SHUT
    this.#isNew = !open
    if (!open) this.#wait()
  }

  /** Whether every caller's calls may pass. */
  get open(): boolean {
    return this.#above === 0
  }

  /** Whether calls with this deadline, in milliseconds, may pass. */
  passes(deadlineMs: number): boolean {
    return deadlineMs > this.#above
  }

  /** @param sentAt `performance.now()` when the call left */
  succeeded(sentAt: number): void {
    this.#answers++
    if (this.#failures === 0) return
    // A caller with more time may well have its answer where others have none.
    if (performance.now() - sentAt <= this.#missedMs) this.#failures = 0
  }

  /**
   * @param asked the question, or the name of a count of processes
   * @param givenMs how long the call was given
   */
  failed(failure: StoreFailure, asked: Question | string, givenMs: number): void {
    this.place = typeof asked === 'string' ? asked : asked.name
    if (typeof asked !== 'string') this.sample = asked
    const missedMs = failure.kind === 'timeout' ? givenMs : SHUT
    this.#missedMs = this.#failures === 0 ? missedMs : Math.max(this.#missedMs, missedMs)
    this.#failures++
    // Servers of a cluster are told apart; a connection to one of them can't serve the others' keys.
    if (this.#failures >= PATIENCE || failure.reason === 'MOVED') {
      this.#shutBelow(this.#missedMs, failure)
    }
  }

  /** At once, for every caller: the connection is gone. */
  shut(failure: StoreFailure): void {
    this.#shutBelow(SHUT, failure)
  }

  /** Probes without waiting: something has changed for the better. */
  probeNow(): void {
    if (this.open || this.#busy || this.#closed) return
    clearTimeout(this.#timer)
    void this.#probe()
  }

  /** No more probes, and no more calls. */
  close(): void {
    clearTimeout(this.#timer)
    this.#above = SHUT
    this.#closed = true
  }

  #shutBelow(ms: number, failure: StoreFailure): void {
    if (this.#closed || ms <= this.#above) return
    const wasOpen = this.open
    this.#above = ms
    this.#failures = 0
    this.skew.forget()
    if (!wasOpen) {
      this.#keeper.stillShut(this, failure)
      return
    }
    this.#countRelapse(failure)
    this.#keeper.shut(this, failure)
    this.#wait()
  }

  /** A round trip about as long as the deadline opens and shuts a gate all the time, if it may. */
  #countRelapse(failure: StoreFailure): void {
    const isEarly = performance.now() - this.#openedAt < RECOVERED_AFTER_MS
    const isRelapse = failure.kind === 'timeout' && this.#openedAt > 0 && isEarly
    const relapses = isRelapse && this.#answers < RECOVERED_AFTER ? this.#relapses + 1 : 0
    this.#relapses = Math.min(MOST_RELAPSES, relapses)
  }

  #wait(): void {
    this.#downSince = performance.now()
    this.#pauseMs = FIRST_PROBE_MS * 2 ** this.#relapses
    if (!this.#busy) this.#probeLater(LAST_PROBE_MS)
  }

  #probeLater(longestMs: number): void {
    const jittered = this.#pauseMs * (0.75 + Math.random() / 2)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#probe(), jittered).unref()
    const most = Math.max(longestMs, FIRST_PROBE_MS * 2 ** this.#relapses)
    this.#pauseMs = Math.min(most, this.#pauseMs * 1.5)
  }

  async #probe(): Promise<void> {
    this.#busy = true
    try {
      this.#judge(await this.#keeper.probe(this))
    } catch (error) {
      this.#busy = false
      if (this.#closed) return
      const failure = failureOf(error)
      this.#keeper.stillShut(this, failure)
      this.#probeLater(failure.isLasting ? LAST_SLOW_PROBE_MS : LAST_PROBE_MS)
    }
  }

  #judge(tookMs: number): void {
    this.#busy = false
    if (this.#closed) return
    this.#failures = 0
    this.#answers = 0
    this.#openedAt = performance.now()
    // At first contact the calls themselves find out: those who waited for it have the time.
    if (tookMs < this.#keeper.shortestMs || this.#isNew) {
      this.#isNew = false
      this.#above = 0
      this.#keeper.opened(this, this.#openedAt - this.#downSince)
      return
    }
    this.#above = tookMs
    const failure = new StoreFailure('timeout', 'slow', `${Math.ceil(tookMs)} ms`)
    this.#keeper.stillShut(this, failure)
    this.#probeLater(LAST_SLOW_PROBE_MS)
  }
}
