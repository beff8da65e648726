import type { FailureReason } from './failure.ts'
import { Skew } from './skew.ts'

/** Failures in a row after which Redis is no longer asked. */
const PATIENCE = 3
const FIRST_PROBE_MS = 50
const LAST_PROBE_MS = 250

/** What is done about a gate that shuts, probes and opens. */
export interface GateKeeper {
  shut(gate: Gate, reason: FailureReason): void
  /** Asks the server for something harmless, and rejects if it does not do it. */
  probe(gate: Gate): Promise<void>
  opened(gate: Gate, downMs: number): void
}

/**
 * Stands before one server: lets calls pass while it answers, and spares them the wait when it does not.
 *
 * Shut after three failures in a row, or at once when the connection is gone. While it is shut, nobody's
 * call is an experiment: it probes by itself, at growing and jittered intervals, and opens on an answer.
 */
export class Gate {
  /** Of a cluster: the server, as `host:port`. */
  readonly node: string
  /** The server's clock. */
  readonly skew: Skew = new Skew()
  /** Name of a state that was asked for here last and failed: where to probe. */
  sample = ''
  readonly #keeper: GateKeeper
  #failures = 0
  #open: boolean
  #downSince = 0
  #pauseMs = FIRST_PROBE_MS
  #timer: NodeJS.Timeout | undefined
  #busy = false

  /** @param open whether calls may pass; if not, it probes */
  constructor(node: string, keeper: GateKeeper, open: boolean) {
    this.node = node
    this.#keeper = keeper
    this.#open = open
    if (!open) this.#wait()
  }

  /** Whether calls may pass. */
  get open(): boolean {
    return this.#open
  }

  succeeded(): void {
    this.#failures = 0
  }

  failed(reason: FailureReason, name: string): void {
    this.sample = name
    this.#failures++
    if (this.#failures >= PATIENCE) this.shut(reason)
  }

  shut(reason: FailureReason): void {
    if (!this.#open) return
    this.#open = false
    this.skew.forget()
    this.#keeper.shut(this, reason)
    this.#wait()
  }

  /** Probes without waiting: something has changed for the better. */
  probeNow(): void {
    if (this.#open || this.#busy) return
    clearTimeout(this.#timer)
    void this.#probe()
  }

  /** No more probes. */
  close(): void {
    clearTimeout(this.#timer)
    this.#open = false
    this.#busy = true
  }

  #wait(): void {
    this.#downSince = performance.now()
    this.#pauseMs = FIRST_PROBE_MS
    this.#probeLater()
  }

  #probeLater(): void {
    const jittered = this.#pauseMs * (0.75 + Math.random() / 2)
    this.#timer = setTimeout(() => void this.#probe(), jittered).unref()
    this.#pauseMs = Math.min(LAST_PROBE_MS, this.#pauseMs * 1.5)
  }

  async #probe(): Promise<void> {
    this.#busy = true
    const alive = await this.#keeper.probe(this).then(
      () => true,
      () => false,
    )
    this.#busy = false
    if (!alive) {
      this.#probeLater()
      return
    }
    this.#open = true
    this.#failures = 0
    this.#keeper.opened(this, performance.now() - this.#downSince)
  }
}
