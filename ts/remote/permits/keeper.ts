import type { Lease, PermitBackend } from './backend.ts'
import type { RemotePermit } from './remote-permit.ts'

/** A lease is renewed after this part of its time: there are three more attempts before it ends. */
const RENEW_AFTER = 1 / 4
/** How often to look for leases that are due, as a part of a lease's time; and in milliseconds at most. */
const [LOOK_AFTER, MAX_LOOK_MS] = [1 / 20, 500]
/** Calls that are under way at a time. */
const MAX_CALLS = 16
const NEVER: number = Number.POSITIVE_INFINITY
/** Leases to give back of which that is remembered. The others end by themselves. */
const MAX_OWED = 10_000

/**
 * The permits that this process holds in a store: renews them for as long as they are held.
 *
 * A lease that could not be renewed in time is lost, and stays so: another process may have its place. Leases that
 * could not be given back, and those of calls whose answer was lost, are given back later; else they end by themselves.
 */
export class LeaseKeeper {
  /** Those with a lease, in the order in which they were last renewed. */
  readonly #permits = new Set<RemotePermit>()
  /** Those that were given out without the store, which is to learn of them. */
  readonly #unknown = new Set<RemotePermit>()
  /** Permits of each key that are out, also those that are lost: their holders may not know. */
  readonly #perKey = new Map<string, number>()
  /** Those that are lost, and have not come back. */
  readonly #lost = new Set<RemotePermit>()
  readonly #lostPerKey = new Map<string, number>()
  readonly #backend: PermitBackend
  readonly #leaseMs: number
  readonly #onLost: () => void
  /** Calls that have no answer yet. Of one that is cut off it is not known what it has done. */
  readonly #calls = new Set<Promise<unknown>>()
  #owed: Lease[] = []
  #out = 0
  #timer: NodeJS.Timeout | undefined
  #isBusy = false
  #isClosed = false
  /** Some were given out without the store since it last learned of those. */
  #isNews = false

  /** @param onLost called for each permit that is lost */
  constructor(backend: PermitBackend, leaseMs: number, onLost: () => void) {
    this.#backend = backend
    this.#leaseMs = leaseMs
    this.#onLost = onLost
  }

  /** Permits that are out. */
  get out(): number {
    return this.#out
  }

  /** Keys that have permits out. */
  get keys(): number {
    return this.#perKey.size
  }

  outOf(key: string): number {
    return this.#perKey.get(key) ?? 0
  }

  /** Permits that are out and count: for all that is known, no other process has them. */
  get counted(): number {
    return this.#out - this.#lost.size
  }

  countedOf(key: string): number {
    return this.outOf(key) - (this.#lostPerKey.get(key) ?? 0)
  }

  /** A permit is given out. */
  add(permit: RemotePermit): void {
    if (permit.isLeased) this.#permits.add(permit)
    else {
      this.#unknown.add(permit)
      this.#isNews = true
    }
    this.#out++
    change(this.#perKey, permit.key, 1)
    this.#start()
  }

  /** It has come back. Resolves when the store knows, or has to be told later. */
  async remove(permit: RemotePermit): Promise<void> {
    this.#permits.delete(permit)
    this.#unknown.delete(permit)
    this.#out--
    change(this.#perKey, permit.key, -1)
    if (this.#lost.delete(permit)) change(this.#lostPerKey, permit.key, -1)
    if (permit.wasSent) await this.#giveBack([permit])
    this.#stopIfIdle()
  }

  /** The store may have given this lease to a caller who has gone. */
  owe(lease: Lease): void {
    // After the end it is told no more: such a lease ends by itself.
    if (this.#isClosed) return
    if (this.#owed.length < MAX_OWED) this.#owed.push(lease)
    this.#start()
  }

  /** Gives all back. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.allSettled(this.#calls)
    // From here on nothing is renewed: what is given back would be taken again.
    this.#isClosed = true
    const left = [...this.#permits, ...this.#unknown]
    this.#permits.clear()
    this.#unknown.clear()
    for (const permit of left) permit.lose()
    const leases = [...left.filter(({ wasSent }) => wasSent), ...this.#owed.splice(0)]
    await Promise.all(this.#backend.batches(leases).map((batch) => this.#giveBack(batch)))
  }

  #start(): void {
    const ms = Math.min(MAX_LOOK_MS, this.#leaseMs * LOOK_AFTER)
    this.#timer ??= setInterval(() => void this.#look(), ms).unref()
  }

  #stopIfIdle(): void {
    if (this.#permits.size + this.#unknown.size + this.#owed.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #giveBack(leases: readonly Lease[]): Promise<void> {
    try {
      await this.#answer(this.#backend.release(leases))
    } catch {
      for (const lease of leases) this.owe(lease)
    }
  }

  /** Renews what is due, gives back what is owed, and has the store learn of the rest. */
  async #look(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      const { available } = this.#backend.status
      // The store may have lost its data: those that it knew are older, and come first.
      const due = this.#due(available && this.#isNews ? NEVER : performance.now())
      if (!available) return
      this.#isNews = false
      await inTurn(this.#backend.batches(due), (batch) => this.#renew(batch))
      const owed = this.#owed.splice(0)
      await inTurn(this.#backend.batches(owed), (batch) => this.#giveBack(batch))
      await inTurn(this.#backend.batches([...this.#unknown]), (batch) => this.#renew(batch))
    } finally {
      this.#isBusy = false
      this.#stopIfIdle()
    }
  }

  /** Those that are to be renewed by then. Those that have ended are lost. */
  #due(now: number): readonly RemotePermit[] {
    const due: RemotePermit[] = []
    for (const permit of this.#permits) {
      if (permit.renewedAt > now - this.#leaseMs * RENEW_AFTER) break
      if (permit.isLost) this.#lose(permit)
      else due.push(permit)
    }
    return due
  }

  async #renew(all: readonly RemotePermit[]): Promise<void> {
    const permits = all.filter(({ isReleased }) => !isReleased)
    if (this.#isClosed || permits.length === 0) return
    const sentAt = performance.now()
    for (const permit of permits) permit.sent()
    try {
      const held = await this.#answer(this.#backend.renew(permits))
      for (const [i, permit] of permits.entries()) this.#learn(permit, held[i] === true, sentAt)
    } catch {
      // They are still due, and asked for again.
    }
  }

  #answer<T>(call: Promise<T>): Promise<T> {
    this.#calls.add(call)
    return call.finally(() => this.#calls.delete(call))
  }

  #learn(permit: RemotePermit, isHeld: boolean, sentAt: number): void {
    const wasKnown = this.#permits.delete(permit)
    if (!wasKnown && !this.#unknown.has(permit)) return
    // Its holder may have seen that it was lost before the answer came.
    if (permit.isLost || (!isHeld && wasKnown)) this.#lose(permit)
    if (!isHeld || permit.isLost) return
    permit.leased(sentAt, this.#leaseMs)
    this.#unknown.delete(permit)
    this.#permits.add(permit)
  }

  #lose(permit: RemotePermit): void {
    permit.lose()
    this.#permits.delete(permit)
    this.#unknown.delete(permit)
    this.#lost.add(permit)
    change(this.#lostPerKey, permit.key, 1)
    this.#onLost()
    this.owe(permit)
  }
}

/** Keys of which there are none take no room. */
function change(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const left = (counts.get(key) ?? 0) + by
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}

/** Does all of it, some at a time. */
async function inTurn<One>(all: readonly One[], run: (one: One) => Promise<void>): Promise<void> {
  for (let i = 0; i < all.length; i += MAX_CALLS) {
    await Promise.all(all.slice(i, i + MAX_CALLS).map(run))
  }
}
