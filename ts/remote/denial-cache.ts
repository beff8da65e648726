import type { Decision } from '../decision.ts'
import { flat, tableKey } from '../key-hash.ts'
import type { Limit } from '../limit/limit.ts'
import { StoreDecision } from './backend.ts'
import type { ResolvedRemoteOptions } from './options.ts'

/** Denied keys that are remembered at once; the oldest are forgotten first. */
const MAX_KEYS = 10_000

interface CachedDenial {
  /** The key, or its hash. */
  readonly name: string
  readonly decision: Decision
  /** What the decision is about. */
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
  /** Calls that were denied without asking the store. */
  served = 0
  readonly #known = new Map<string, CachedDenial>()
  /** All of them in the order in which they came. A map full of deleted entries is slow to find its oldest. */
  readonly #ring: (CachedDenial | undefined)[] = []
  #next = 0

  constructor(private readonly options: ResolvedRemoteOptions) {}

  /** The time by which denials are remembered. */
  now(): number {
    const { clock } = this.options
    return clock === undefined ? performance.now() : clock.now()
  }

  /** The denial that the store would answer now. One under other limits says nothing. */
  find(limits: readonly Limit[], key: string, cost: number): Decision | undefined {
    if (cost !== 1 || this.#known.size === 0) return undefined
    const now = this.now()
    const denial = this.#known.get(tableKey(key))
    if (denial === undefined || denial.limits !== limits) return undefined
    if (now < denial.until) {
      this.served++
      return StoreDecision.aged(denial.decision, now - denial.at)
    }
    this.#remove(denial)
    return undefined
  }

  /**
   * Remembers a denial of one unit. An admission proves that what was remembered is out of date.
   *
   * @param askedAt when the store was asked, as {@link now} was then: its denial holds from then on
   */
  learn(
    limits: readonly Limit[],
    key: string,
    cost: number,
    decision: Decision,
    askedAt: number,
  ): void {
    if (decision.allowed) this.forget(key)
    else if (cost === 1) this.#remember(limits, key, decision, askedAt)
  }

  #remember(limits: readonly Limit[], key: string, decision: Decision, askedAt: number): void {
    const { blockForMs, localDenialsMs } = this.options
    // With `blockFor` until the block ends: another denial after that begins another block.
    const blockMs = blockForMs > 0 ? StoreDecision.blockMs(decision) : 0
    const ms = Math.min(decision.retryAfterMs, blockMs > 0 ? blockMs : Number.POSITIVE_INFINITY)
    const now = this.now()
    // Times were rounded up to a millisecond. A clock may step back.
    const until = askedAt + Math.min(ms - 1, localDenialsMs)
    if (localDenialsMs === 0 || !(until > now)) return
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
    if (this.#known.size === 0) return
    const denial = this.#known.get(tableKey(key))
    if (denial !== undefined) this.#remove(denial)
  }

  #remove({ name, place }: CachedDenial): void {
    this.#known.delete(name)
    this.#ring[place] = undefined
  }
}
