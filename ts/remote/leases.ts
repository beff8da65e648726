import type { Decision } from '../decision.ts'
import { flat } from '../key-hash.ts'
import { Batch } from '../redis/batch.ts'
import type { FailureKind } from './failure.ts'
import type { ResolvedLease } from './options.ts'
import { blockMsIn, deniedNext, withUnits } from './store-decision.ts'

/** Keys that may have a lease at once; others are asked for one by one. */
const ROOM = 100_000
/** A longer key has no lease: its text would have to be kept to give back what is left. */
const LONGEST_KEY = 128
/** The share of its time after which a lease should be used up. */
const AHEAD = 0.5

/** What a decision says of units taken in advance. */
export interface Grant {
  readonly decision: Decision
  /** Units that were charged, 0 if none. */
  readonly granted: number
}

/** Takes units in Redis, and gives back what was not needed. */
export interface Lender {
  /**
   * Charges `least` units, or up to `most` if there are that many.
   *
   * @param since `performance.now()` from which its deadline counts
   * @returns why, if Redis did not decide
   */
  borrow(key: string, least: number, most: number, since: number): Promise<Grant | FailureKind>
  /** Decides about one caller who could not be served. */
  check(key: string, cost: number, since: number): Promise<Decision>
  /** Decides about one caller without Redis. */
  alone(key: string, cost: number, kind: FailureKind): Decision
  /** Gives back units that were charged and not served. */
  giveBack(key: string, units: number): Promise<void>
  /** Counts a call that was served without asking. */
  served(): void
}

/** Units of one key that this process has been charged for and has not served yet. */
interface Lease {
  readonly key: string
  units: number
  /** When they are given back. */
  until: number
  /** What Redis said when they were taken, and when that was. */
  decision: Decision | undefined
  takenAt: number
  /** Units served since then. */
  used: number
  /** Calls that fetch more. */
  batches: readonly Batch[]
}

interface Terms {
  readonly limits: number
  readonly blocks: boolean
}

const NONE: readonly Batch[] = []

/**
 * Serves most calls from units that were charged in Redis beforehand, in batches that grow with a key's
 * rate: as many as half of the lease's time needs, at most `size`.
 *
 * A unit is served once, and only after it was charged. What is left when a lease ends is given back; what
 * a killed process held comes back as any charge does, with the window. A caller waits for one batch at
 * most: one that finds none with room for it begins another at once.
 */
export class Leases {
  readonly #lender: Lender
  readonly #size: number
  readonly #ttlMs: number
  readonly #limits: number
  /** Whether a denial begins a block, so that Redis has to be asked for each. */
  readonly #blocks: boolean
  readonly #leases = new Map<string, Lease>()
  readonly #sweep: NodeJS.Timeout

  /** @param terms how many limits there are, and whether a denial begins a block */
  constructor(lender: Lender, { size, ttlMs }: ResolvedLease, terms: Terms) {
    this.#lender = lender
    this.#limits = terms.limits
    this.#size = size
    this.#ttlMs = ttlMs
    this.#blocks = terms.blocks
    this.#sweep = setInterval(() => this.#returnExpired(), ttlMs).unref()
  }

  /** Whether such a call is served from a lease. */
  covers(key: string, cost: number): boolean {
    if (cost < 1 || cost > this.#size || key.length > LONGEST_KEY) return false
    return this.#leases.size < ROOM || this.#leases.has(key)
  }

  /** Serves what is at hand, or undefined. */
  serve(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease === undefined || lease.units < cost) return undefined
    const now = performance.now()
    if (now >= lease.until) return undefined
    this.#lender.served()
    return this.#use(lease, cost, now)
  }

  /** What {@link serve} would say. Changes nothing. */
  peek(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease?.decision === undefined || lease.units === 0) return undefined
    const now = performance.now()
    if (now >= lease.until || lease.units < cost) return undefined
    return withUnits(lease.decision, lease.units, now - lease.takenAt)
  }

  /** Before Redis is asked past the lease: it decides on all there is, what is too little at hand included. */
  yield(key: string): void {
    const lease = this.#leases.get(key)
    if (lease !== undefined && lease.units > 0) this.#giveBack(lease)
  }

  /** Takes part in a batch and is served from it. */
  take(key: string, cost: number): Promise<Decision> {
    const lease = this.#leases.get(key) ?? this.#newLease(key)
    if (lease.units > 0) this.#giveBack(lease)
    const batch = lease.batches.find((open) => open.hasRoom(cost)) ?? this.#newBatch(lease)
    return new Promise((resolve, reject) => {
      batch.add({ cost, since: performance.now(), resolve, reject })
    })
  }

  /** Forgets what is at hand: the key was reset or blocked. */
  drop(key: string): void {
    this.#leases.delete(key)
  }

  /** Gives everything back. */
  async close(): Promise<void> {
    clearInterval(this.#sweep)
    const left = [...this.#leases.values()].filter(({ units }) => units > 0)
    this.#leases.clear()
    await Promise.all(left.map(({ key, units }) => this.#lender.giveBack(key, units)))
  }

  #newLease(key: string): Lease {
    const own = flat(key)
    const lease = {
      key: own,
      units: 0,
      until: 0,
      decision: undefined,
      takenAt: 0,
      used: 0,
      batches: NONE,
    }
    this.#leases.set(own, lease)
    return lease
  }

  /** Sent once all who ask in this turn of the event loop have joined it. */
  #newBatch(lease: Lease): Batch {
    const batch = new Batch(this.#size)
    lease.batches = [...lease.batches, batch]
    process.nextTick(() => void this.#fetch(lease, batch))
    return batch
  }

  async #fetch(lease: Lease, batch: Batch): Promise<void> {
    const now = performance.now()
    if (now >= lease.until) this.#giveBack(lease)
    const since = batch.claims[0]?.since ?? now
    batch.most = Math.min(this.#size, Math.max(batch.claimed, this.#demand(lease, now)))
    try {
      const grant = await this.#lender.borrow(lease.key, batch.least, batch.most, since)
      this.#end(lease, batch)
      if (typeof grant === 'string') this.#decideAlone(lease, batch, grant)
      else this.#hand(lease, batch, grant, now)
    } catch (error) {
      this.#end(lease, batch)
      for (const claim of batch.claims) claim.reject(error)
    }
  }

  #decideAlone({ key }: Lease, { claims }: Batch, kind: FailureKind): void {
    for (const { cost, resolve, reject } of claims) {
      try {
        resolve(this.#lender.alone(key, cost, kind))
      } catch (error) {
        reject(error)
      }
    }
  }

  #hand(lease: Lease, batch: Batch, grant: Grant, now: number): void {
    if (grant.granted > 0) {
      lease.units += grant.granted
      lease.used = 0
      lease.decision = grant.decision
      lease.takenAt = now
      lease.until = now + this.#ttlMs
    }
    if (grant.granted === 0) this.#besides(lease, grant.decision)
    const { least } = batch
    for (const { cost, since, resolve } of batch.claims) {
      if (lease.units >= cost && lease.decision !== undefined) resolve(this.#use(lease, cost, now))
      else resolve(this.#refuse(lease, grant, cost, least, since))
    }
  }

  /** Nothing is left for this caller. Redis is asked again only where what it said is not about this cost. */
  #refuse(
    lease: Lease,
    { decision, granted }: Grant,
    cost: number,
    least: number,
    since: number,
  ): Decision | Promise<Decision> {
    if (granted === 0 && cost === least) return this.#besides(lease, decision)
    const isSpent = cost === 1 && granted > 0 && decision.remaining === 0
    if (isSpent && this.#limits === 1 && !this.#blocks) return deniedNext(decision)
    return this.#lender.check(lease.key, cost, since)
  }

  /** Units at hand count as left, unless the key is blocked: then none may be served. */
  #besides(lease: Lease, decision: Decision): Decision {
    if (blockMsIn(decision) === 0) return withUnits(decision, lease.units, 0)
    this.#giveBack(lease)
    return decision
  }

  #use(lease: Lease, cost: number, now: number): Decision {
    lease.units -= cost
    lease.used += cost
    const decision = withUnits(lease.decision as Decision, lease.units, now - lease.takenAt)
    // A key that is asked for rarely is remembered by its rate only.
    if (lease.units === 0) lease.decision = undefined
    return decision
  }

  #end(lease: Lease, batch: Batch): void {
    const others = lease.batches.filter((other) => other !== batch)
    lease.batches = others.length === 0 ? NONE : others
  }

  #giveBack(lease: Lease): void {
    const { key, units } = lease
    lease.units = 0
    lease.decision = undefined
    if (units > 0) void this.#lender.giveBack(key, units)
  }

  /** Units that are likely to be asked for soon. */
  #demand(lease: Lease, now: number): number {
    const ms = Math.max(1, now - lease.takenAt)
    return Math.ceil((lease.used / ms) * this.#ttlMs * AHEAD)
  }

  #returnExpired(): void {
    const now = performance.now()
    for (const lease of this.#leases.values()) {
      if (now < lease.until || lease.batches.length > 0) continue
      this.#leases.delete(lease.key)
      this.#giveBack(lease)
    }
  }
}
