import type { Decision } from '../decision.ts'
import type { ResolvedLease } from './options.ts'

/** Keys that may have a lease at once; others are asked for one by one. */
const ROOM = 100_000
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
  /** Charges `least` units, or up to `most` if there are that many. */
  borrow(key: string, least: number, most: number): Promise<Grant>
  refund(key: string, units: number): Promise<void>
  /** Told of each call that was served without asking. */
  served(): void
}

/** Units of one key that this process has been charged for and has not served yet. */
interface Lease {
  units: number
  /** When they are given back. */
  until: number
  /** What Redis said when they were taken, and when that was. */
  decision: Decision
  takenAt: number
  /** Units served since then. */
  used: number
  /** Callers who wait for the next batch, and the call that fetches it. */
  waiting: number
  fetching: Promise<Grant> | undefined
}

/**
 * Serves most calls from units that were charged in Redis beforehand, in batches that grow with a key's
 * rate: as many as half of the lease's time needs, at most `size`.
 *
 * A unit is served once, and only after it was charged. What is left when a lease ends is given back; what
 * a killed process held comes back as any charge does, with the window.
 */
export class Leases {
  readonly #lender: Lender
  readonly #size: number
  readonly #ttlMs: number
  readonly #leases = new Map<string, Lease>()
  readonly #sweep: NodeJS.Timeout

  constructor(lender: Lender, { size, ttlMs }: ResolvedLease) {
    this.#lender = lender
    this.#size = size
    this.#ttlMs = ttlMs
    this.#sweep = setInterval(() => this.#returnExpired(), ttlMs).unref()
  }

  /** Serves what is at hand, or undefined. */
  serve(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease === undefined || lease.units < cost) return undefined
    const now = performance.now()
    if (now >= lease.until) return undefined
    lease.units -= cost
    lease.used += cost
    this.#lender.served()
    return decisionOf(lease, now)
  }

  /** Takes a batch and serves from it. Callers who come meanwhile share it. */
  async take(key: string, cost: number): Promise<Decision> {
    for (;;) {
      const lease = this.#leases.get(key)
      if (lease?.fetching === undefined) return this.#fetch(key, cost, lease)
      lease.waiting++
      const { granted, decision } = await lease.fetching
      const served = this.serve(key, cost)
      if (served !== undefined) return served
      // Nothing was left: as much as this caller needs was denied as well, unless others were served from it.
      if (granted === 0 && cost === 1) return decision
    }
  }

  /** Forgets what is at hand: the key was reset or blocked. */
  drop(key: string): void {
    this.#leases.delete(key)
  }

  /** Gives everything back. */
  async close(): Promise<void> {
    clearInterval(this.#sweep)
    const left = [...this.#leases].filter(([, { units }]) => units > 0)
    this.#leases.clear()
    await Promise.all(left.map(([key, { units }]) => this.#lender.refund(key, units)))
  }

  async #fetch(key: string, cost: number, before: Lease | undefined): Promise<Decision> {
    const lease = before ?? newLease()
    const now = performance.now()
    const hasRoom = before !== undefined || this.#leases.size < ROOM
    if (hasRoom) this.#leases.set(key, lease)
    const likely = Math.max(cost, lease.waiting, this.#demand(lease, now))
    const most = hasRoom ? Math.min(this.#size, likely) : cost
    lease.waiting = 0
    const expired = now >= lease.until ? lease.units : 0
    lease.units -= expired
    if (expired > 0) void this.#lender.refund(key, expired)
    lease.fetching = this.#lender.borrow(key, cost, most)
    try {
      const grant = await lease.fetching
      this.#keep(lease, grant, cost, now)
      return { ...grant.decision, remaining: grant.decision.remaining + lease.units }
    } finally {
      lease.fetching = undefined
    }
  }

  #keep(lease: Lease, { decision, granted }: Grant, cost: number, now: number): void {
    if (granted === 0) return
    lease.units += granted - cost
    lease.used = cost
    lease.decision = decision
    lease.takenAt = now
    lease.until = now + this.#ttlMs
  }

  /** Units that are likely to be asked for soon. */
  #demand(lease: Lease, now: number): number {
    const ms = Math.max(1, now - lease.takenAt)
    return Math.ceil((lease.used / ms) * this.#ttlMs * AHEAD)
  }

  #returnExpired(): void {
    const now = performance.now()
    for (const [key, lease] of this.#leases) {
      if (now < lease.until || lease.fetching !== undefined) continue
      this.#leases.delete(key)
      if (lease.units > 0) void this.#lender.refund(key, lease.units)
    }
  }
}

function newLease(): Lease {
  const decision: Decision = {
    allowed: false,
    limit: 0,
    remaining: 0,
    resetMs: 0,
    limitResetMs: 0,
    retryAfterMs: 0,
    retryAfter: 0,
    policy: 0,
  }
  return { units: 0, until: 0, decision, takenAt: 0, used: 0, waiting: 0, fetching: undefined }
}

/** As Redis said when the batch was taken, with what is left of it. */
function decisionOf({ decision, units, takenAt }: Lease, now: number): Decision {
  const since = now - takenAt
  return {
    allowed: true,
    limit: decision.limit,
    remaining: decision.remaining + units,
    resetMs: Math.max(1, Math.ceil(decision.resetMs - since)),
    limitResetMs: Math.max(1, Math.ceil(decision.limitResetMs - since)),
    retryAfterMs: 0,
    retryAfter: 0,
    policy: decision.policy,
  }
}
