import { type Clock, withTimers } from '../clock.ts'
import { ConcurrencyExceeded, type ConcurrencyReason, closedError } from '../errors.ts'
import type { MaybePromise, StoreStatus } from '../limiter.ts'
import { Agenda } from '../wait-queue/line.ts'
import { checkedKey, quiet, readAcquire, refusalsOf } from './call.ts'
import { CountedPermit, type Desk, TimedPermit } from './counted-permit.ts'
import { REFUSALS } from './counts.ts'
import { openCounts } from './open-counts.ts'
import {
  type ConcurrencyOptions,
  type ResolvedConcurrency,
  readConcurrencyLimits,
  resolveConcurrency,
} from './options.ts'
import { PermitQueue } from './queue.ts'
import { PermitTally } from './tally.ts'
import {
  type AcquireOptions,
  type ConcurrencyLimits,
  type ConcurrencyStats,
  type Permit,
  PermitRefused,
  type Permits,
} from './types.ts'

export type { ConcurrencyOptions } from './options.ts'

/** How often callers that wait ask for permits that other threads and processes give back, and how many ask. */
const POLL = { everyMs: 25, most: 256 }

/**
 * Limits how many callers are inside at a time, in this process or on this host.
 *
 * ```ts
 * const uploads = new ConcurrencyLimiter({ perKey: 4, total: 200 }, { queue: 16, maxWaitMs: 2000 })
 * using permit = await uploads.acquire('user:42')
 * ```
 */
export class ConcurrencyLimiter implements Permits {
  readonly limits: Readonly<ConcurrencyLimits>
  readonly #desk: Desk
  readonly #queue: PermitQueue
  readonly #tally: PermitTally
  readonly #refusals: Readonly<Record<ConcurrencyReason, PermitRefused>>
  readonly #holds: Agenda<TimedPermit> | undefined
  readonly #clock: Required<Clock>
  readonly #options: ResolvedConcurrency

  /**
   * @param limits permits of each key, of all keys together (`total`), or both; a number is those of each key
   * @throws TypeError or RangeError that names the option, its value and what is accepted; Error with code NAME_IN_USE,
   * or with a code of the tier `shared`: see docs/reference/errors.md
   */
  constructor(limits: number | ConcurrencyLimits, options: ConcurrencyOptions = {}) {
    this.limits = readConcurrencyLimits(limits)
    const resolved = resolveConcurrency(options)
    this.#options = resolved
    this.#clock = withTimers(resolved.clock)
    this.#refusals = refusalsOf(this.limits)
    const counts = openCounts(this.limits, resolved)
    const released = (key: string): void => this.#queue.released(key)
    this.#desk = { counts, released, isClosed: false }
    this.#tally = new PermitTally(this, {
      ...resolved,
      tier: resolved.shared ? 'shared' : 'memory',
    })
    this.#queue = new PermitQueue(this.#source(), { ...resolved, clock: this.#clock })
    if (resolved.maxHoldMs < Number.POSITIVE_INFINITY) {
      const clock = quiet(this.#clock, resolved.clock)
      this.#holds = new Agenda(clock, (permit) => this.#lose(permit), true)
    }
  }

  /** A permit, or `undefined` if as many are held as may be, or others wait for one. */
  tryAcquire(key: string): Permit | undefined {
    const taken = this.take(key)
    return taken instanceof PermitRefused ? undefined : taken
  }

  /**
   * A permit, if need be after a wait in the queue.
   *
   * @throws ConcurrencyExceeded when there is none in time; the signal's reason when it is aborted
   */
  async acquire(key: string, options?: AcquireOptions): Promise<Permit> {
    const { maxWaitMs, signal } = readAcquire(options, this.#options.maxWaitMs)
    signal?.throwIfAborted()
    const taken = await this.#enter(key, maxWaitMs, signal)
    if (taken instanceof PermitRefused) throw new ConcurrencyExceeded(taken.reason, taken.limit)
    return taken
  }

  /** For adapters: as {@link tryAcquire}, but says why there is no permit. */
  take(key: string): Permit | PermitRefused {
    return this.#tally.note(key, this.#ask(key))
  }

  /** For adapters: as {@link acquire}, but answers at once where it can, and with the refusal. */
  enter(key: string, signal?: AbortSignal): MaybePromise<Permit | PermitRefused> {
    // A caller who has gone is told as one that goes while it waits.
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    return this.#enter(key, this.#options.maxWaitMs, signal)
  }

  /** How many permits the key holds: of all threads and processes that share the limiter. */
  held(key: string): number {
    this.#checkOpen()
    return this.#desk.counts.held(checkedKey(key))
  }

  /** How many permits all keys hold together: of all threads and processes that share the limiter. */
  get inUse(): number {
    return this.#desk.isClosed ? 0 : this.#desk.counts.inUse()
  }

  /** Counts of this object since it was made. */
  stats(): ConcurrencyStats {
    const { admitted, refused, timedOut, lost } = this.#tally
    const { capacity } = this.#desk.counts
    const waiting = this.#queue.size
    return { held: this.inUse, waiting, admitted, refused, timedOut, lost, capacity }
  }

  /** Whether the counts can be reached: always, as they are on this host. */
  async ready(): Promise<StoreStatus> {
    const { isClosed } = this.#desk
    return { available: !isClosed, reason: isClosed ? 'closed' : undefined }
  }

  /**
   * Ends the permits that are still out: releasing them later does nothing. Callers that wait are rejected, and so is every
   * later call, with code CLOSED.
   */
  close(): void {
    if (this.#desk.isClosed) return
    this.#desk.isClosed = true
    this.#desk.counts.close()
    this.#holds?.clear()
    this.#tally.close()
    this.#queue.close(closedError('the limiter was closed while waiting'))
  }

  #ask(key: string): Permit | PermitRefused {
    this.#checkOpen()
    checkedKey(key)
    if (this.#queue.size > 0) {
      // Those who came first may have one by now.
      this.#queue.released(key)
      const refused = this.#queue.ahead(key)
      if (refused !== undefined) return refused
    }
    return this.#count(key)
  }

  #count(key: string): Permit | PermitRefused {
    const holds = this.#holds
    // Asked first: a clock that fails must leave no permit that is held.
    const until = holds === undefined ? 0 : this.#clock.now() + this.#options.maxHoldMs
    const receipt = this.#desk.counts.acquire(key)
    if (receipt < 0) return this.#refusals[REFUSALS[receipt] ?? 'capacity']
    if (holds === undefined) return new CountedPermit(this.#desk, key, receipt)
    const permit = new TimedPermit(this.#desk, key, receipt, (ended) => holds.remove(ended))
    holds.put(permit, until)
    return permit
  }

  #enter(
    key: string,
    maxWaitMs: number,
    signal: AbortSignal | undefined,
  ): MaybePromise<Permit | PermitRefused> {
    const taken = this.#ask(key)
    if (!(taken instanceof PermitRefused)) return this.#tally.note(key, taken)
    const joined = this.#queue.join(key, taken, maxWaitMs, signal)
    if (!(joined instanceof Promise)) return this.#tally.note(key, joined)
    return joined.then((outcome) => this.#tally.note(key, outcome))
  }

  #source(): ConstructorParameters<typeof PermitQueue>[0] {
    const tally = this.#tally
    // A permit whose time is over, too: its timer does not keep the process alive, but those who wait for it do.
    const endsOfItself = this.#options.maxHoldMs < Number.POSITIVE_INFINITY
    return {
      ask: (key) => this.#count(key),
      beforeAll: this.limits.total === undefined ? undefined : this.#refusals.total,
      isShared: this.#options.name !== undefined || endsOfItself,
      reap: () => this.#desk.counts.reap(),
      poll: POLL,
      queued: (change) => tally.queued(change),
      waited: (ms) => tally.waited(ms),
      timedOut: () => tally.timedOut++,
      gaveUp: (key) => tally.gaveUp(key),
    }
  }

  #lose(permit: TimedPermit): void {
    this.#tally.lost++
    permit.end()
  }

  #checkOpen(): void {
    if (this.#desk.isClosed) throw closedError('the limiter was closed')
  }
}
