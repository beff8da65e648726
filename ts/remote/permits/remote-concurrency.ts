import { setImmediate as turn } from 'node:timers/promises'
import { withTimers } from '../../clock.ts'
import { ConcurrencyExceeded, type ConcurrencyReason, closedError } from '../../errors.ts'
import { flat, tableKey } from '../../key-hash.ts'
import type { MaybePromise, StoreStatus } from '../../limiter.ts'
import { checkedKey, quiet, readAcquire, refusalsOf } from '../../permits/call.ts'
import type { QueueSource } from '../../permits/line.ts'
import { PermitQueue } from '../../permits/queue.ts'
import { refuseTry } from '../../permits/refuse-try.ts'
import { PermitTally } from '../../permits/tally.ts'
import {
  type AcquireOptions,
  type AsyncConcurrencyLimiter,
  type ConcurrencyLimits,
  type ConcurrencyStats,
  type Permit,
  PermitRefused,
} from '../../permits/types.ts'
import { Agenda } from '../../wait-queue/line.ts'
import { failureOf, StoreFailure } from '../failure.ts'
import { part } from '../local-counters.ts'
import type { PermitBackend } from './backend.ts'
import { LeaseKeeper } from './keeper.ts'
import type { ResolvedPermits } from './options.ts'
import { RemotePermit } from './remote-permit.ts'

/** How often callers that wait ask for permits that other processes give back, and how many ask. */
const POLL = { everyMs: 50, most: 32 }

const CLOCK = withTimers(undefined)
const NEVER: number = Number.POSITIVE_INFINITY

/**
 * Limits how many callers are inside at a time, in all processes that share a store.
 *
 * While the store does not answer, `onError` decides. No call takes longer than `deadlineMs` beyond its wait in the
 * queue, and none rejects because of the store.
 */
export class RemoteConcurrency implements AsyncConcurrencyLimiter {
  static {
    refuseTry(RemoteConcurrency.prototype)
  }

  readonly limits: Readonly<ConcurrencyLimits>
  readonly #options: ResolvedPermits
  readonly #backend: PermitBackend
  readonly #keeper: LeaseKeeper
  readonly #queue: PermitQueue
  readonly #tally: PermitTally
  readonly #refusals: Readonly<Record<ConcurrencyReason, PermitRefused>>
  readonly #holds: Agenda<RemotePermit>
  readonly #id: string = newId()
  /** Questions to the store that are under way. */
  readonly #asks = new Set<Promise<unknown>>()
  #count = 0
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(limits: ConcurrencyLimits, options: ResolvedPermits, backend: PermitBackend) {
    this.limits = limits
    this.#options = options
    this.#backend = backend
    this.#refusals = refusalsOf(limits)
    this.#tally = new PermitTally(this, { ...options, tier: backend.tier })
    this.#keeper = new LeaseKeeper(backend, options.leaseMs, () => this.#tally.lost++)
    this.#queue = new PermitQueue(this.#source(), { ...options, clock: CLOCK })
    this.#holds = new Agenda(quiet(CLOCK, undefined), (permit) => this.#end(permit))
  }

  async acquire(key: string, options?: AcquireOptions): Promise<Permit> {
    const { maxWaitMs, signal } = readAcquire(options, this.#options.maxWaitMs)
    const taken = await this.#enter(key, maxWaitMs, signal)
    if (taken instanceof PermitRefused) throw new ConcurrencyExceeded(taken.reason, taken.limit)
    return taken
  }

  async take(key: string): Promise<Permit | PermitRefused> {
    const own = this.#check(key)
    return this.#tally.note(key, this.#queue.ahead(own) ?? (await this.#ask(own)))
  }

  enter(key: string, signal?: AbortSignal): Promise<Permit | PermitRefused> {
    return this.#enter(key, this.#options.maxWaitMs, signal)
  }

  /** While the store is away: those of this process. */
  async held(key: string): Promise<number> {
    const own = this.#check(key)
    const without = () => (this.#isClosed ? this.#refuseLate() : this.#keeper.countedOf(own))
    return this.#backend.held(own).catch(without)
  }

  stats(): ConcurrencyStats {
    const { admitted, refused, timedOut, lost } = this.#tally
    const waiting = this.#queue.size
    const capacity = this.#options.capacity
    return { held: this.#keeper.counted, waiting, admitted, refused, timedOut, lost, capacity }
  }

  async ready(): Promise<StoreStatus> {
    return this.#isClosed ? { available: false, reason: 'closed' } : this.#backend.ready()
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#tally.close()
    this.#isClosed = true
    // Begins in a while: by then a call that learns of the end can wait for it.
    this.#closing ??= Promise.resolve().then(() => this.#close())
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#holds.clear()
    try {
      // What they bring is given back, too. A store that is away brings nothing.
      if (this.#backend.status.available) await Promise.allSettled(this.#asks)
      await this.#keeper.close()
      await this.#backend.close()
    } finally {
      // Last: who closes and then looks at a waiter's promise must find no rejection unhandled.
      this.#queue.close(closedError('the limiter was closed while waiting'))
    }
  }

  async #enter(
    key: string,
    maxWaitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Permit | PermitRefused> {
    const own = this.#check(key)
    signal?.throwIfAborted()
    const taken = this.#queue.ahead(own) ?? (await this.#ask(own))
    if (signal?.aborted === true) {
      if (!(taken instanceof PermitRefused)) taken.release()
      throw signal.reason
    }
    if (!(taken instanceof PermitRefused)) return this.#tally.note(key, taken)
    return this.#tally.note(key, await this.#queue.join(own, taken, maxWaitMs, signal))
  }

  /** Asks the store, and decides without it if it does not answer. */
  #ask(key: string): MaybePromise<Permit | PermitRefused> {
    // Of callers that wait: they learn of the end when it is there.
    if (this.#isClosed) return this.#refuseLate()
    if (this.#isFull(key)) return this.#refusals.capacity
    // What this process holds is held: a flood of one key does not reach the store.
    const { perKey, total } = this.limits
    if (this.#backend.status.available) {
      if (this.#keeper.countedOf(key) >= (perKey ?? NEVER)) return this.#refusals.perKey
      if (this.#keeper.counted >= (total ?? NEVER)) return this.#refusals.total
    }
    const asked = this.#askStore(this.#newPermit(flat(key)))
    const over = (): void => void this.#asks.delete(asked)
    this.#asks.add(asked)
    asked.then(over, over)
    return asked.then((taken) => taken ?? this.#refuseLate())
  }

  /** For a call that was under way when the limiter was closed: rejects as soon as it has closed. */
  async #refuseLate(): Promise<never> {
    await this.#closing?.catch(() => {})
    throw closedError('the limiter was closed while waiting')
  }

  /** Asks the store. Resolves to nothing if the limiter is closed by then. */
  async #askStore(permit: RemotePermit): Promise<Permit | PermitRefused | undefined> {
    const sentAt = performance.now()
    permit.sent()
    try {
      const answer = await this.#backend.acquire(permit)
      this.#tally.storeTook(performance.now() - sentAt)
      if (answer !== 'held') return this.#refusals[answer]
      permit.leased(sentAt, this.#options.leaseMs)
      // Its lease has ended while the answer was on its way.
      if (permit.isLost) throw new StoreFailure('timeout')
    } catch (error) {
      // A caller who asks in a tight loop must not keep the process from noticing that the store is back.
      await turn()
      if (!this.#isClosed) return this.#decideLost(permit, failureOf(error).kind !== 'unavailable')
    }
    if (!this.#isClosed) return this.#give(permit)
    // The store may know the lease: `close` gives it back.
    this.#keeper.owe(permit)
    return undefined
  }

  /**
   * Decides about a caller whose answer did not come. The store may know of its permit: if the caller is admitted it has
   * that one, so that none counts twice; else that one is given back.
   *
   * @param wasAsked whether the store may have been asked
   */
  #decideLost(permit: RemotePermit, wasAsked: boolean): Permit | PermitRefused {
    const refused = this.#refusedWithout(permit.key)
    if (refused === undefined && !permit.isLeased) return this.#give(permit)
    if (wasAsked) this.#keeper.owe(permit)
    return refused ?? this.#give(this.#newPermit(permit.key))
  }

  /** Decides while the store does not: within this process' share of the limits. */
  #refusedWithout(key: string): PermitRefused | undefined {
    this.#tally.withoutStore()
    const { onError, processes } = this.#options
    if (onError === 'closed') return this.#refusals.store
    if (onError === 'local') {
      const parts = processes ?? this.#backend.sharing.parts
      const isOver = (limit: number | undefined, out: number): boolean =>
        limit !== undefined && out >= part(limit, parts)
      if (isOver(this.limits.perKey, this.#keeper.outOf(key))) return this.#refusals.perKey
      if (isOver(this.limits.total, this.#keeper.out)) return this.#refusals.total
    }
    return this.#isFull(key) ? this.#refusals.capacity : undefined
  }

  #newPermit(key: string): RemotePermit {
    return new RemotePermit(this, key, `${this.#id}${(this.#count++).toString(36)}`)
  }

  #isFull(key: string): boolean {
    return this.#keeper.keys >= this.#options.capacity && this.#keeper.outOf(key) === 0
  }

  #give(permit: RemotePermit): Permit {
    this.#keeper.add(permit)
    this.#holds.put(permit, CLOCK.now() + this.#options.maxHoldMs)
    return permit
  }

  /** For permits, of which each calls it once. */
  released(permit: RemotePermit): void {
    this.#holds.remove(permit)
    if (this.#isClosed) return
    const told = this.#keeper.remove(permit)
    const wake = (): void => this.#queue.released(permit.key)
    if (this.#backend.isOrdered) wake()
    else void told.then(wake)
  }

  #end(permit: RemotePermit): void {
    this.#tally.lost++
    permit.lose()
    permit.release()
  }

  #source(): QueueSource {
    const tally = this.#tally
    return {
      ask: (key) => this.#ask(key),
      beforeAll: this.limits.total === undefined ? undefined : this.#refusals.total,
      isShared: true,
      poll: POLL,
      queued: (change) => tally.queued(change),
      waited: (ms) => tally.waited(ms),
      timedOut: () => tally.timedOut++,
      gaveUp: (key) => tally.gaveUp(key),
    }
  }

  /** The key by which permits are kept: what is owed to a store that is away must not keep long texts. */
  #check(key: string): string {
    if (this.#isClosed) throw closedError('the limiter was closed')
    return tableKey(checkedKey(key))
  }
}

/** Tells the permits of this object from all others. */
function newId(): string {
  return `${process.getBuiltinModule('node:crypto').randomBytes(9).toString('base64url')}.`
}
