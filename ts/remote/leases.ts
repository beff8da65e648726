import type { Decision } from '../decision.ts'
import { flat } from '../key-hash.ts'
import { StoreDecision } from './backend.ts'
import type { FailureKind } from './failure.ts'
import type { ResolvedLease } from './options.ts'

/** Keys that may have a lease at once; other keys are asked for one by one. */
const MAX_KEYS = 100_000
/** A longer key has no lease: its text would have to be kept to give back what is left. */
const MAX_KEY_LENGTH = 128
/** The share of its time after which a lease should be used up. */
const PREFETCH_RATIO = 0.5

/** Takes units from the store, and gives back what was not needed. */
export interface LeaseSource {
  /**
   * Charges `min` units, or up to `max` if there are that many.
   *
   * @param since `performance.now()` from which its deadline counts
   * @returns why, if the store did not decide
   */
  acquire(key: string, min: number, max: number, since: number): Promise<Decision | FailureKind>
  /** Decides about one caller who could not be served. */
  check(key: string, cost: number, since: number): Promise<Decision>
  /** Decides about one caller without the store. */
  decideAlone(key: string, cost: number, kind: FailureKind): Decision
  /** A caller gets a decision that came of units in a batch. */
  note(key: string, decision: Decision): Decision
  /** Gives back units that were charged and not served. */
  giveBack(key: string, units: number): Promise<void>
}

/** A caller that waits for units which are being charged. */
interface Claim {
  readonly cost: number
  /** `performance.now()` when it asked: its deadline counts from then. */
  readonly since: number
  resolve(decision: Decision | Promise<Decision>): void
  reject(error: unknown): void
}

/** Units that are charged in one call for several callers. */
interface Batch {
  readonly claims: Claim[]
  /** Units that the callers need together. */
  claimed: number
  /** Units that it may charge. */
  max: number
}

/** Units of one key that this process has been charged for and has not served yet. */
interface Lease {
  readonly key: string
  units: number
  /** When they are given back. */
  until: number
  /** What the store said when they were taken, and when that was. */
  decision: Decision | undefined
  takenAt: number
  /** Units served since then. */
  used: number
  /** Calls that fetch more. */
  batches: readonly Batch[]
}

const NONE: readonly Batch[] = []

/**
 * Serves most calls from units that were charged in the store beforehand, in batches that grow with a key's
 * rate: as many as half of the lease's time needs, at most `size`.
 *
 * A unit is served once, and only after it was charged. What is left when a lease ends is given back; what a
 * killed process held comes back as any charge does, with the window. A caller waits for one batch at most: if
 * none has room for it, another batch begins at once.
 */
export class Leases {
  /** Calls that were served without asking the store. */
  served = 0
  readonly #leases = new Map<string, Lease>()
  readonly #sweep: NodeJS.Timeout

  /** @param isForeseeable whether an admission that left nothing says how the next denial reads */
  constructor(
    private readonly source: LeaseSource,
    private readonly options: ResolvedLease,
    private readonly isForeseeable: boolean,
  ) {
    this.#sweep = setInterval(() => this.#returnExpired(), options.ttlMs).unref()
  }

  /** Whether such a call is served from a lease. */
  covers(key: string, cost: number): boolean {
    if (cost < 1 || cost > this.options.size || key.length > MAX_KEY_LENGTH) return false
    return this.#leases.size < MAX_KEYS || this.#leases.has(key)
  }

  /** Serves the call from units at hand, or returns undefined. */
  serve(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease === undefined || lease.units < cost) return undefined
    const now = performance.now()
    if (now >= lease.until) return undefined
    this.served++
    return this.#use(lease, cost, now)
  }

  /** What {@link serve} would answer. Changes nothing. */
  peek(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease?.decision === undefined || lease.units === 0) return undefined
    const now = performance.now()
    if (now >= lease.until || lease.units < cost) return undefined
    return StoreDecision.withUnits(lease.decision, lease.units, now - lease.takenAt)
  }

  /** Gives back what is at hand before the store is asked past the lease, so that the store decides on all there is. */
  yield(key: string): void {
    const lease = this.#leases.get(key)
    if (lease !== undefined) this.#giveBack(lease)
  }

  /** Joins a batch and is served from it. */
  take(key: string, cost: number): Promise<Decision> {
    const lease = this.#leases.get(key) ?? this.#newLease(key)
    this.#giveBack(lease)
    const hasRoom = (batch: Batch): boolean => batch.claimed + cost <= batch.max
    const batch = lease.batches.find(hasRoom) ?? this.#newBatch(lease)
    return new Promise((resolve, reject) => {
      batch.claims.push({ cost, since: performance.now(), resolve, reject })
      batch.claimed += cost
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
    await Promise.all(left.map(({ key, units }) => this.source.giveBack(key, units)))
  }

  #newLease(key: string): Lease {
    const nothing = { units: 0, until: 0, decision: undefined, takenAt: 0, used: 0, batches: NONE }
    const lease = { key: flat(key), ...nothing }
    this.#leases.set(lease.key, lease)
    return lease
  }

  /** Sent once all that ask in this turn of the event loop have joined it. */
  #newBatch(lease: Lease): Batch {
    const batch = { claims: [], claimed: 0, max: this.options.size }
    lease.batches = [...lease.batches, batch]
    process.nextTick(() => void this.#fetch(lease, batch))
    return batch
  }

  async #fetch(lease: Lease, batch: Batch): Promise<void> {
    const now = performance.now()
    if (now >= lease.until) this.#giveBack(lease)
    const since = batch.claims[0]?.since ?? now
    const min = Math.min(...batch.claims.map(({ cost }) => cost))
    batch.max = Math.min(this.options.size, Math.max(batch.claimed, this.#demand(lease, now)))
    try {
      const answer = await this.source.acquire(lease.key, min, batch.max, since)
      if (typeof answer === 'string') this.#decideAlone(lease, batch, answer)
      else this.#hand(lease, batch, answer, now)
    } catch (error) {
      for (const { reject } of batch.claims) reject(error)
    } finally {
      const others = lease.batches.filter((other) => other !== batch)
      lease.batches = others.length === 0 ? NONE : others
    }
  }

  #decideAlone({ key }: Lease, { claims }: Batch, kind: FailureKind): void {
    for (const { cost, resolve } of claims) resolve(this.source.decideAlone(key, cost, kind))
  }

  #hand(lease: Lease, { claims }: Batch, decision: Decision, now: number): void {
    const granted = StoreDecision.charged(decision)
    if (granted > 0) {
      lease.units += granted
      lease.used = 0
      lease.decision = decision
      lease.takenAt = now
      lease.until = now + this.options.ttlMs
    } else this.#beside(lease, decision)
    const min = Math.min(...claims.map(({ cost }) => cost))
    for (const { cost, since, resolve } of claims) {
      const known = this.#foreseen(lease, decision, cost, min, now)
      if (known !== undefined) resolve(this.source.note(lease.key, known))
      // What the store has said is about another cost.
      else resolve(this.source.check(lease.key, cost, since))
    }
  }

  /** What a caller gets of a batch, if its decision says that. */
  #foreseen(
    lease: Lease,
    decision: Decision,
    cost: number,
    min: number,
    now: number,
  ): Decision | undefined {
    const granted = StoreDecision.charged(decision)
    if (lease.units >= cost && lease.decision !== undefined) return this.#use(lease, cost, now)
    if (granted === 0 && cost === min) return this.#beside(lease, decision)
    const isForeseen = this.isForeseeable && granted > 0 && decision.remaining === 0
    return isForeseen && cost === 1 ? StoreDecision.deniedNext(decision) : undefined
  }

  /** Units at hand count as left, unless the key is blocked: then none may be served. */
  #beside(lease: Lease, decision: Decision): Decision {
    const { units } = lease
    if (StoreDecision.blockMs(decision) === 0) return StoreDecision.withUnits(decision, units, 0)
    this.#giveBack(lease)
    return decision
  }

  #use(lease: Lease, cost: number, now: number): Decision {
    lease.units -= cost
    lease.used += cost
    const { decision: taken, units, takenAt } = lease
    const decision = StoreDecision.withUnits(taken as Decision, units, now - takenAt)
    // Of a key that is asked for rarely only the rate is remembered.
    if (lease.units === 0) lease.decision = undefined
    return decision
  }

  #giveBack(lease: Lease): void {
    const { key, units } = lease
    if (units === 0) return
    lease.units = 0
    lease.decision = undefined
    void this.source.giveBack(key, units)
  }

  /** Units that are likely to be asked for soon. */
  #demand(lease: Lease, now: number): number {
    const ms = Math.max(1, now - lease.takenAt)
    return Math.ceil((lease.used / ms) * this.options.ttlMs * PREFETCH_RATIO)
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
