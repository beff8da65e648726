import type { Decision } from '../decision.ts'
import { closedError } from '../errors.ts'
import { flat, tableKey } from '../key-hash.ts'
import type { Limit } from '../limit/limit.ts'
import { type Sharing, StoreDecision } from './backend.ts'
import { type OnError, warnOnce } from './failure.ts'
import { type LocalCounters, type Mode, openLocal } from './local-counters.ts'
import type { Shared } from './local-tables.ts'
import type { ResolvedRemoteOptions } from './options.ts'

const AT_ONCE = { policy: 0, resetMs: 0, limitResetMs: 0, retryAfterMs: 0, retryAfter: 0 }
/** How long a denial without knowledge lasts. */
const UNKNOWN = {
  policy: 0,
  resetMs: 1_000,
  limitResetMs: 1_000,
  retryAfterMs: 1_000,
  retryAfter: 1,
}
const NO_LOCAL =
  'there is no memory for a local limiter, so a limiter with onError "local" denies while the store is away; set a smaller capacity'

/**
 * Decides while the store does not.
 *
 * `local` counts in this process, up to this process's share of each limit, rounded up: P processes together
 * admit at most P - 1 units more than the limit. Its counters are kept from one outage to the next, so that a
 * store that comes and goes grants no fresh budget each time.
 */
export class Fallback {
  #shared: Shared<LocalCounters> | undefined
  #isClosed = false

  /** @param limits undefined if they change from call to call */
  constructor(
    private readonly limits: readonly Limit[] | undefined,
    private readonly options: ResolvedRemoteOptions,
    private readonly sharing: Sharing,
  ) {}

  /** The limit is reported as it was set, not as this process's share of it. */
  decide(limits: readonly Limit[], mode: Mode, key: string, cost: number): Decision {
    const decision = this.open()?.decide(limits, mode, key, cost)
    if (decision === undefined) return unknown(this.options.onError, limits)
    return { ...decision, limit: limits[decision.policy]?.count ?? decision.limit }
  }

  /** The counters of this process, if they were ever needed. */
  get counters(): LocalCounters | undefined {
    return this.#shared?.value
  }

  /** The counters of this process, unless `onError` decides without any. */
  open(): LocalCounters | undefined {
    if (this.options.onError !== 'local') return undefined
    // A caller that was still waiting for the store when the limiter was closed has no answer.
    if (this.#isClosed) throw closedError('the limiter was closed while waiting')
    this.#shared ??= openLocal(this.limits, this.options, this.sharing)
    return this.#shared.value
  }

  close(): void {
    this.#isClosed = true
    this.#shared?.release()
    this.#shared = undefined
  }
}

/** A decision without counters. `open` and `closed` name the first limit; so does `local` without memory. */
function unknown(onError: OnError, limits: readonly Limit[]): Decision {
  const limit = limits[0]?.count ?? 0
  if (onError === 'open') return { ...AT_ONCE, allowed: true, limit, remaining: limit }
  if (onError === 'local') warnOnce('RATETHROTTLE_NO_LOCAL', NO_LOCAL)
  return { ...UNKNOWN, allowed: false, limit, remaining: 0 }
}

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

  /** @param askedAt when the store was asked: its denial holds from then on */
  remember(limits: readonly Limit[], key: string, decision: Decision, askedAt: number): void {
    const { blockForMs, localDenialsMs } = this.options
    // With `blockFor` until the block ends: another denial after that begins another block.
    const blockMs = blockForMs > 0 ? StoreDecision.blockMs(decision) : 0
    const ms = Math.min(decision.retryAfterMs, blockMs > 0 ? blockMs : Number.POSITIVE_INFINITY)
    const now = this.now()
    // Times were rounded up to a millisecond.
    const until = askedAt + Math.min(ms - 1, localDenialsMs)
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
    if (this.#known.size === 0) return
    const denial = this.#known.get(tableKey(key))
    if (denial !== undefined) this.#remove(denial)
  }

  #remove({ name, place }: CachedDenial): void {
    this.#known.delete(name)
    this.#ring[place] = undefined
  }
}
