import { setImmediate as turn } from 'node:timers/promises'
import { LimiterQueues } from '../wait.ts'
import type { Backend } from './backend.ts'
import { DenialCache } from './denial-cache.ts'
import { type FailureKind, failureOf } from './failure.ts'
import { Fallback, type LocalStore } from './fallback.ts'
import type { Leases } from './leases.ts'
import type { ResolvedRemoteOptions } from './options.ts'

/** How long decisions without the store may go on before the event loop gets a turn. */
const TURN_MS = 10

/** What a limiter in a store has been through in this process. */
export interface RemoteLimiterStats {
  /** Calls that were sent to the store. */
  readonly asked: number
  /** Denials for which the store did not have to be asked. */
  readonly deniedLocally: number
  /** Units that were served from leases. */
  readonly leased: number
  /** Calls that `onError` decided, by what had happened to them. */
  readonly failures: Readonly<Record<FailureKind, number>>
  /** How often the store, or a server of a cluster, stopped answering. */
  readonly outages: number
  /** Processes that share the limits. */
  readonly processes: number
}

/** What all views of one limiter share. */
export class RemoteState {
  readonly options: ResolvedRemoteOptions
  readonly backend: Backend
  readonly fallback: Fallback
  readonly denials: DenialCache | undefined
  /** Callers of `wait`, and requests that an adapter delays. */
  readonly queues: LimiterQueues
  leases: Leases | undefined
  isClosed = false
  asked = 0
  deniedLocally = 0
  leased = 0
  readonly failures: Record<FailureKind, number> = {
    timeout: 0,
    disconnected: 0,
    unavailable: 0,
    refused: 0,
    forbidden: 0,
    garbled: 0,
  }
  #turnedAt = 0

  /** @param openLocal opens the counters that take the store's place while it is away */
  constructor(options: ResolvedRemoteOptions, backend: Backend, openLocal: () => LocalStore) {
    const { algorithm, onError, localDenialsMs } = options
    this.options = options
    this.backend = backend
    this.queues = new LimiterQueues(algorithm, options)
    this.fallback = new Fallback(onError, openLocal)
    this.denials = localDenialsMs === 0 ? undefined : new DenialCache(localDenialsMs)
  }

  /** The time by which denials are remembered. */
  now(): number {
    const { clock } = this.options
    return clock === undefined ? performance.now() : clock.now()
  }

  /** Counts a call that the store did not answer. */
  noteFailure(error: unknown): Promise<void> {
    this.failures[failureOf(error).kind]++
    return this.yieldToEventLoop()
  }

  /** Lets the event loop turn now and then: a caller that asks in a loop would otherwise hide that the store is back. */
  async yieldToEventLoop(): Promise<void> {
    const now = performance.now()
    if (now - this.#turnedAt < TURN_MS) return
    await turn()
    this.#turnedAt = performance.now()
  }

  /** Lets go of the store, and turns away the callers that wait. */
  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    try {
      await this.leases?.close()
      this.fallback.close()
      await this.backend.close()
    } finally {
      // Last: who closes and then looks at a waiter's promise must find no rejection unhandled.
      this.queues.close()
    }
  }

  /** What the limiter has been through, in this process. */
  stats(): RemoteLimiterStats {
    const { asked, deniedLocally, leased, failures, backend, options } = this
    const processes = options.processes ?? Math.max(1, backend.sharing.processes)
    return {
      asked,
      deniedLocally,
      leased,
      failures: { ...failures },
      outages: backend.outages,
      processes,
    }
  }
}
