import { agedDenial, type Decision, retryAfterOf } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { LimitStatus, StoreStatus } from '../limiter.ts'

/** How a charge treats a key that is denied. */
export type ChargeMode =
  /** Option `blockFor` blocks it. */
  | 'check'
  /** Nothing happens to it: the caller waits in a queue. */
  | 'take'
  /** As `take`. And with `leaky-bucket` the limit with the shortest window admits only while its bucket is empty. */
  | 'paced'

/** A caller who waits for a decision. One of the two is called, once; neither throws. */
export interface Asker {
  answered(decision: Decision): void
  /** @param error as `Counters` reject with */
  failed(error: unknown): void
}

/**
 * The counters of a store, under one set of limits. Keys and numbers have been checked.
 *
 * Each call settles within `deadlineMs`, before the first connection within `connectTimeoutMs`; a `Guard` sees to
 * that. It rejects with a `StoreFailure` that says why, or with an error that `failureOf` reads. A call that was
 * cut off is not repeated: it may have been charged.
 */
export interface Counters {
  /**
   * Charges `cost`, under all limits or none.
   *
   * @param since `performance.now()` from which the deadline counts. Default: now
   * @returns a decision made by `storeDecision`, which says more than `Decision` does
   */
  charge(key: string, cost: number, mode: ChargeMode, since?: number): Promise<Decision>
  /** As `charge`, for a store that tells the caller itself. This spares each call a promise. */
  chargeFor?(asker: Asker, key: string, cost: number, mode: ChargeMode, since?: number): void
  /** Charges `least` units, or up to `most` if there are that many: for leases. `chargedIn` reads how many. */
  acquire(key: string, least: number, most: number, since: number): Promise<Decision>
  /** What a charge of `cost` would answer. Changes nothing. */
  peek(key: string, cost: number): Promise<Decision>
  /** Gives back `units` to every limit, never more than the key owes. */
  refund(key: string, units: number): Promise<unknown>
  /** Denies the key for `ms` milliseconds from now on; replaces an earlier block. */
  block(key: string, ms: number): Promise<unknown>
  /** Forgets the key, its block included. */
  reset(key: string): Promise<unknown>
}

/** The processes that share the limits of one limiter, as far as the store knows them. */
export interface Sharing {
  /** Limiters of this process that share their counters in the store have the same object. */
  readonly group: object
  /** Processes that were seen alive; 0 if they were never counted. */
  readonly processes: number
  /** Into how many parts the limits are cut while the store is away, of which this process has one: at least 1. */
  readonly parts: number
}

/** A store behind a network, for one limiter. */
export interface Backend {
  readonly sharing: Sharing
  /** How often the store, or a server of a cluster, stopped answering. */
  readonly outages: number
  /** Whether the store decides, as far as this process knows: takes no round trip. Default: it does. */
  readonly status?: StoreStatus
  /** What an insight calls it. Default: `'store'`. */
  readonly tier?: 'redis' | 'store'
  /** The store's counters as these limits see them. Keeps nothing that would have to be closed. */
  counters(limits: readonly Limit[]): Counters
  /** Waits for the first connection, and says whether the store decides. Never rejects. */
  ready(): Promise<StoreStatus>
  /** Ends the calls under way: each rejects, with whatever reason. Then lets go of the connection. */
  close(): Promise<void>
}

/*
 * The decision of a store, as a flat list of numbers that is cheap to send and to keep:
 *
 *   units charged, remaining, retry after, reset, more or policy, the deciding limit's own reset, the block
 *
 * With one limit the fifth number is the time until one more unit is available. With several it is the index of
 * the deciding limit, and for each limit follow what it has left and the time until it has more; under a block
 * then for each limit how long it would deny by itself, and the time until it has recovered.
 * Times are milliseconds, -1 is never. A number after those of an admission is not read here.
 */
const CHARGED = 0
const REMAINING = 1
const RETRY = 2
const RESET = 3
const MORE = 4
const POLICY = 4
const LIMIT_RESET = 5
const BLOCK = 6
/** Numbers before those of each of several limits. */
const SHARED = 7

/** A decision that remembers what the store said, so that others can be derived from it. */
export class StoreDecision implements Decision {
  readonly allowed: boolean
  readonly policy: number
  readonly limit: number
  readonly remaining: number
  readonly retryAfterMs: number
  readonly retryAfter: number | undefined
  readonly resetMs: number
  readonly limitResetMs: number
  readonly #numbers: readonly number[]
  readonly #limits: readonly Limit[]
  /** How long ago the store said it. */
  readonly #ageMs: number
  /** Units that this process holds beside what the store has left. */
  readonly #units: number

  /** The decision that these numbers mean, about these limits. */
  constructor(numbers: readonly number[], limits: readonly Limit[], ageMs = 0, units = 0) {
    const isOne = limits.length === 1
    const policy = isOne ? 0 : policyAt(numbers, limits.length, ageMs)
    const retryAfterMs = timeLeft(numbers[RETRY] as number, ageMs)
    this.allowed = (numbers[CHARGED] as number) > 0
    this.policy = policy
    this.limit = (limits[policy] as Limit).count
    this.remaining = (numbers[REMAINING] as number) + units
    this.retryAfterMs = retryAfterMs
    this.retryAfter = retryAfterOf(retryAfterMs)
    this.resetMs = timeLeft(numbers[RESET] as number, ageMs)
    this.limitResetMs = isOne ? this.resetMs : ownReset(numbers, limits.length, policy, ageMs)
    this.#numbers = numbers
    this.#limits = limits
    this.#ageMs = ageMs
    this.#units = units
  }

  /** A denial as it reads some time later, if nothing has happened to the key since. */
  static aged(denial: Decision, ms: number): Decision {
    if (!(#numbers in denial)) return agedDenial(denial, ms)
    return new StoreDecision(denial.#numbers, denial.#limits, denial.#ageMs + ms, denial.#units)
  }

  /**
   * The store's decision of `ageMs` ago, for a caller in a process that holds units beside what the store has left.
   *
   * @param units what the process holds, after the caller was served
   */
  static withUnits(decision: Decision, units: number, ageMs: number): Decision {
    if (!(#numbers in decision)) return decision
    return new StoreDecision(decision.#numbers, decision.#limits, ageMs, units)
  }

  /** The denial of one unit that follows an admission which left nothing, if there is one limit. */
  static deniedNext(admission: Decision): Decision {
    if (!(#numbers in admission)) return admission
    const numbers = [...admission.#numbers]
    numbers[CHARGED] = 0
    numbers[RETRY] = numbers[MORE] as number
    numbers[BLOCK] = 0
    return new StoreDecision(numbers, admission.#limits)
  }

  /** Milliseconds for which a denied key is blocked, whatever its limits say. */
  static blockMs(denial: Decision): number {
    return #numbers in denial && !denial.allowed ? (denial.#numbers[BLOCK] ?? 0) : 0
  }

  /** Units that the store has charged. */
  static charged(decision: Decision): number {
    return #numbers in decision ? Math.max(0, decision.#numbers[CHARGED] ?? 0) : 0
  }

  /** How each limit stood when the store took the decision; undefined if the decision is not a store's. */
  static statuses(decision: Decision): readonly LimitStatus[] | undefined {
    if (!(#numbers in decision)) return undefined
    const numbers = decision.#numbers
    const status = (remaining: number, more: number): LimitStatus => ({
      remaining: (numbers[remaining] ?? 0) + decision.#units,
      moreMs: timeLeft(numbers[more] ?? 0, decision.#ageMs),
    })
    if (decision.#limits.length === 1) return [status(REMAINING, MORE)]
    return decision.#limits.map((_, limit) => status(SHARED + 2 * limit, SHARED + 2 * limit + 1))
  }
}

/** What a store says beside its decision. */
export interface DecisionDetails {
  /** How each limit stands, in the order of `limits`. */
  readonly statuses: readonly LimitStatus[]
  /** Units that were charged, where the store was asked for up to a number of them. Default: 1 if admitted. */
  readonly charged?: number
  /** Milliseconds for which a denied key is blocked, whatever its limits say. Default: 0. */
  readonly blockMs?: number
}

/** A decision for {@link Counters} to answer with, for a store that decides in this process. */
export function storeDecision(
  decision: Decision,
  limits: readonly Limit[],
  { statuses, charged = Number(decision.allowed), blockMs = 0 }: DecisionDetails,
): Decision {
  const { remaining, retryAfterMs, resetMs, limitResetMs, policy } = decision
  const each = statuses.flatMap((status) => [status.remaining, orNever(status.moreMs)])
  const [, more = 0] = each
  const isOne = limits.length === 1
  const shared = [charged, remaining, orNever(retryAfterMs), resetMs, isOne ? more : policy]
  return new StoreDecision([...shared, limitResetMs, blockMs, ...(isOne ? [] : each)], limits)
}

/** How the limits of a list of numbers correspond to the caller's. */
export interface Order {
  /** How many limits the numbers are about. */
  readonly size: number
  /** For each limit of the caller, which of the numbers' speaks for it. */
  readonly places: readonly number[]
  /** For each limit of the numbers, which of the caller's it is. */
  readonly indices: readonly number[]
}

/** The same numbers, about the caller's limits in the caller's order. */
export function reordered(numbers: readonly number[], order: Order): readonly number[] {
  const { size, places, indices } = order
  if (places.length === 1) return numbers
  const shared = numbers.slice(0, SHARED)
  shared[POLICY] = indices[size === 1 ? 0 : (numbers[POLICY] as number)] ?? 0
  const pair = (at: number): readonly number[] => numbers.slice(at, at + 2)
  const statuses = places.flatMap((place) =>
    size === 1 ? [numbers[REMAINING] as number, numbers[MORE] as number] : pair(SHARED + 2 * place),
  )
  const own = hasOwnTimes(numbers, size) && size > 1
  const times = own ? places.flatMap((place) => pair(ownTimes(size, place))) : []
  return [...shared, ...statuses, ...times]
}

/** The deciding limit. While a key is blocked its limits recover, and another may become the one that denies longest. */
function policyAt(numbers: readonly number[], limits: number, ageMs: number): number {
  if (ageMs === 0 || !hasOwnTimes(numbers, limits)) return numbers[POLICY] as number
  let [policy, longest] = [0, 0]
  for (let limit = 0; limit < limits; limit++) {
    const wait = timeLeft(numbers[ownTimes(limits, limit)] as number, ageMs, 0)
    if (wait > longest) [policy, longest] = [limit, wait]
  }
  return policy
}

function ownReset(
  numbers: readonly number[],
  limits: number,
  policy: number,
  ageMs: number,
): number {
  const stated = timeLeft(numbers[LIMIT_RESET] as number, ageMs)
  if (ageMs === 0 || !hasOwnTimes(numbers, limits)) return stated
  const whole = timeLeft(numbers[ownTimes(limits, policy) + 1] as number, ageMs, 0)
  return Math.max(whole, timeLeft(numbers[BLOCK] as number, ageMs))
}

/** Where numbers under a block say how long a limit would deny by itself, and then when it has recovered. */
function ownTimes(limits: number, limit: number): number {
  return SHARED + 2 * (limits + limit)
}

function hasOwnTimes(numbers: readonly number[], limits: number): boolean {
  return numbers.length >= ownTimes(limits, limits)
}

/** A time as it is some milliseconds later: at least `least`, unless it is none or never. */
function timeLeft(ms: number, ageMs: number, least = 1): number {
  if (ms <= 0) return ms < 0 ? Number.POSITIVE_INFINITY : ms
  return Math.max(least, Math.ceil(ms - ageMs))
}

function orNever(ms: number): number {
  return ms === Number.POSITIVE_INFINITY ? -1 : ms
}
