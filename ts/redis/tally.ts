import type { FailureKind } from '../remote/failure.ts'

/** What a limiter in Redis has been through in this process. */
export interface RedisLimiterStats {
  /** Calls that were sent to Redis. */
  readonly asked: number
  /** Denials that Redis did not have to be asked for. */
  readonly deniedLocally: number
  /** Units that were served from leases. */
  readonly leased: number
  /** Calls that `onError` decided, by what had happened to them. */
  readonly failures: Readonly<Record<FailureKind, number>>
  /** How often Redis, or a server of a cluster, stopped answering. */
  readonly outages: number
  /** Processes that share the limits. */
  readonly processes: number
}

/** Counts what a limiter goes through. */
export class Tally {
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

  failed(reason: FailureKind): void {
    this.failures[reason]++
  }
}
