import type { Decision } from '../decision.ts'
import { flat, tableKey } from '../key-hash.ts'
import type { Limit } from '../limit/limit.ts'
import { agedBy } from './backend.ts'

/** Denied keys that are remembered at once; the oldest are forgotten first. */
const MAX_KEYS = 10_000

/** A denial of one unit. */
export interface Denied {
  readonly decision: Decision
  /** What the decision is about. */
  readonly limits: readonly Limit[]
  /** How long the key is certain to be denied, rounded up to a millisecond. */
  readonly ms: number
  /** When the store was asked: its answer holds from then on. */
  readonly askedAt: number
}

interface CachedDenial {
  /** The key, or its hash. */
  readonly name: string
  readonly decision: Decision
  readonly limits: readonly Limit[]
  /** Until when the key is certain to be denied. */
  readonly until: number
  /** When the decision arrived: its times count from here, and so are never too short. */
  readonly at: number
  /** Its index in the ring. */
  readonly place: number
}

/**
 * Keys that the store has denied, until the time it named: for that long it need not be asked.
 *
 * Only denials of one unit are kept. They say that nothing is left until then; how long a greater cost has to
 * wait, only the store knows. Times are those of `performance.now()`, or of an injected clock.
 */
export class DenialCache {
  readonly #longestMs: number
  readonly #known = new Map<string, CachedDenial>()
  /** All of them in the order in which they came. A map full of deleted entries is slow to find its oldest. */
  readonly #ring: (CachedDenial | undefined)[] = []
  #next = 0

  /** @param longestMs how long a denial is believed at most */
  constructor(longestMs: number) {
    this.#longestMs = longestMs
  }

  /** The denial that the store would answer at `now`. One under other limits says nothing. */
  find(key: string, limits: readonly Limit[], now: number): Decision | undefined {
    const denial = this.#known.get(tableKey(key))
    if (denial === undefined || denial.limits !== limits) return undefined
    if (now < denial.until) return agedBy(denial.decision, now - denial.at)
    this.#remove(denial)
    return undefined
  }

  /** Whether there is anything to be found. */
  get any(): boolean {
    return this.#known.size > 0
  }

  /** @param now when the store answered */
  remember(key: string, { decision, limits, ms, askedAt }: Denied, now: number): void {
    const until = askedAt + Math.min(ms - 1, this.#longestMs)
    if (!(until > now)) return
    const name = flat(tableKey(key))
    const before = this.#known.get(name)
    if (before !== undefined) this.#remove(before)
    const place = this.#next
    const oldest = this.#ring[place]
    if (oldest !== undefined) this.#remove(oldest)
    const denial = { name, decision, limits, until, at: now, place }
    this.#ring[place] = denial
    this.#known.set(name, denial)
    this.#next = (place + 1) % MAX_KEYS
  }

  forget(key: string): void {
    const denial = this.#known.get(tableKey(key))
    if (denial !== undefined) this.#remove(denial)
  }

  #remove({ name, place }: CachedDenial): void {
    this.#known.delete(name)
    this.#ring[place] = undefined
  }
}
