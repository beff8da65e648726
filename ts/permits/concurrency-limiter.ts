import { ConcurrencyExceeded } from '../errors.ts'
import type { StoreStatus } from '../limiter.ts'
import * as validate from '../validate.ts'
import { MapCounts, type PermitCounts, REFUSALS } from './counts.ts'
import {
  type AcquireOptions,
  type ConcurrencyLimits,
  type Permit,
  PermitRefused,
  type Permits,
} from './types.ts'

/** Options of {@link ConcurrencyLimiter}. */
export interface ConcurrencyOptions {
  /** Most callers of one key who wait for a permit. Default: 0, callers are refused at once. */
  readonly queue?: number | undefined
  /** Longest wait for a permit, in milliseconds. Default: no end. */
  readonly maxWaitMs?: number | undefined
  /** Limiters of this name share their permits, in this process or, with `shared`, on this host. */
  readonly name?: string | undefined
  /** Whether all processes of this user on this host share the permits. Needs a name. Default: false. */
  readonly shared?: boolean | undefined
  /** Most keys that hold permits at a time. Memory is reserved for that many. */
  readonly capacity?: number | undefined
}

/** Limits how many callers are inside at a time, in this process or on this host. */
export class ConcurrencyLimiter implements Permits {
  readonly limits: ConcurrencyLimits
  readonly #counts: PermitCounts

  constructor(limits: ConcurrencyLimits, _options: ConcurrencyOptions = {}) {
    const { perKey = Number.POSITIVE_INFINITY, total = Number.POSITIVE_INFINITY } = limits
    this.limits = limits
    this.#counts = new MapCounts(perKey, total)
  }

  /** A permit, or `undefined` if as many are held as may be. */
  tryAcquire(key: string): Permit | undefined {
    const taken = this.take(key)
    return taken instanceof PermitRefused ? undefined : taken
  }

  /** A permit, if need be after a wait in the queue. @throws ConcurrencyExceeded when there is none in time */
  async acquire(key: string, _options?: AcquireOptions): Promise<Permit> {
    const taken = this.enter(key)
    if (taken instanceof PermitRefused) throw new ConcurrencyExceeded(taken.reason, taken.limit)
    return taken
  }

  take(key: string): Permit | PermitRefused {
    const receipt = this.#counts.acquire(
      validate.text(key, 'key', 0, Number.POSITIVE_INFINITY, 'INVALID_ARGUMENT'),
    )
    if (receipt >= 0) return new CountedPermit(this.#counts, receipt)
    const reason = REFUSALS[receipt] ?? 'capacity'
    return new PermitRefused(
      reason,
      (reason === 'total' ? this.limits.total : this.limits.perKey) ?? 0,
    )
  }

  enter(key: string, _signal?: AbortSignal): Permit | PermitRefused {
    return this.take(key)
  }

  held(key: string): number {
    return this.#counts.held(key)
  }

  async ready(): Promise<StoreStatus> {
    return { available: true, reason: undefined }
  }

  close(): void {
    this.#counts.close()
  }
}

class CountedPermit implements Permit {
  readonly #counts: PermitCounts
  #receipt: number

  constructor(counts: PermitCounts, receipt: number) {
    this.#counts = counts
    this.#receipt = receipt
  }

  release(): void {
    const receipt = this.#receipt
    if (receipt < 0) return
    this.#receipt = -1
    this.#counts.release(receipt)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
