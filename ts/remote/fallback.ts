import { type Decision, retryAfterOf } from '../decision.ts'
import { closedError } from '../errors.ts'
import { burstOf, type Limit, ownBurst } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import { NativeVariableLimiter } from '../native-limiter.ts'
import { partsOf, type Sharing } from './backend.ts'
import type { OnError } from './failure.ts'
import type { ResolvedRemoteOptions } from './options.ts'

/** How long a denial without knowledge lasts: ask again in a second. */
const UNKNOWN_MS = 1_000

/** Counters in this process, up to this process's share of some limits. */
export interface LocalCounters {
  /** Undefined if there is no memory to count in. */
  check(key: string, cost: number): Decision | undefined
  take(key: string, cost: number, isPaced: boolean): Decision | undefined
  peek(key: string, cost: number): Decision | undefined
  standings(key: string): readonly LimitStatus[] | undefined
  refund(key: string, units: number): void
  block(key: string, ms: number): void
}

/** The counters of this process for limiters that share their counters in the store. */
export interface LocalStore {
  /** The counters for these limits. Undefined if there is no memory to count in. */
  counters(limits: readonly Limit[]): LocalCounters | undefined
  /** Forgets the key under all limits. */
  reset(key: string): void
  /** One limiter less: the last one frees the memory. */
  release(): void
}

/**
 * Decides while the store does not.
 *
 * `local` counts in this process, up to this process's share of each limit, rounded up: P processes together
 * admit at most P - 1 units more than the limit. Its counters are kept from one outage to the next, so that a
 * store that comes and goes grants no fresh budget each time.
 */
export class Fallback {
  readonly #onError: OnError
  readonly #openStore: () => LocalStore
  #store: LocalStore | undefined
  #isClosed = false

  /** @param openStore called when the counters of this process are needed for the first time */
  constructor(onError: OnError, openStore: () => LocalStore) {
    this.#onError = onError
    this.#openStore = openStore
  }

  check(limits: readonly Limit[], key: string, cost: number): Decision {
    return this.#asWhole(limits, this.#counters(limits)?.check(key, cost))
  }

  take(limits: readonly Limit[], key: string, cost: number, isPaced: boolean): Decision {
    return this.#asWhole(limits, this.#counters(limits)?.take(key, cost, isPaced))
  }

  peek(limits: readonly Limit[], key: string, cost: number): Decision {
    return this.#asWhole(limits, this.#counters(limits)?.peek(key, cost))
  }

  /** How each of this process's shares stands, if they were ever used. */
  standings(limits: readonly Limit[], key: string): readonly LimitStatus[] | undefined {
    return this.#store?.counters(limits)?.standings(key)
  }

  refund(limits: readonly Limit[], key: string, units: number): void {
    this.#store?.counters(limits)?.refund(key, units)
  }

  block(limits: readonly Limit[], key: string, ms: number): void {
    this.#counters(limits)?.block(key, ms)
  }

  reset(key: string): void {
    this.#store?.reset(key)
  }

  close(): void {
    this.#isClosed = true
    this.#store?.release()
    this.#store = undefined
  }

  /** The limit is reported as it was set, not as this process's share of it. */
  #asWhole(limits: readonly Limit[], decision: Decision | undefined): Decision {
    if (decision === undefined) return unknown(this.#onError, limits)
    return { ...decision, limit: limits[decision.policy]?.count ?? decision.limit }
  }

  #counters(limits: readonly Limit[]): LocalCounters | undefined {
    if (this.#onError !== 'local') return undefined
    // A caller that was still waiting for the store when the limiter was closed has no answer.
    if (this.#isClosed) throw closedError('the limiter was closed while waiting')
    this.#store ??= this.#openStore()
    return this.#store.counters(limits)
  }
}

/** A decision without counters. `open` and `closed` name the first limit; so does `local` without memory. */
function unknown(onError: OnError, limits: readonly Limit[]): Decision {
  if (onError === 'local') warnNoMemory()
  const allowed = onError === 'open'
  const limit = limits[0]?.count ?? 0
  const ms = allowed ? 0 : UNKNOWN_MS
  return {
    allowed,
    limit,
    remaining: allowed ? limit : 0,
    resetMs: ms,
    limitResetMs: ms,
    retryAfterMs: ms,
    retryAfter: retryAfterOf(ms),
    policy: 0,
  }
}

let hasWarned = false

/** Once in a process. */
function warnNoMemory(): void {
  if (hasWarned) return
  hasWarned = true
  process.emitWarning(
    'there is no memory for a local limiter, so a limiter with onError "local" denies while the store is away; set a smaller capacity',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_NO_LOCAL' },
  )
}

/** The counters of this process, by the group of limiters that share them. */
const byGroup = new WeakMap<object, VariableShares>()

/** One part of some limits, as the native limiter sees it. */
interface Part {
  readonly parts: number
  readonly counters: LocalCounters
}

/** The counters of this process under limits that change from call to call, for one more limiter. */
export function variableShares(options: ResolvedRemoteOptions, sharing: Sharing): LocalStore {
  const shares = byGroup.get(sharing.group) ?? new VariableShares(options, sharing)
  byGroup.set(sharing.group, shares)
  shares.users++
  return shares
}

/** Counts up to this process's share of the limits of each call. What was used stays used when limits or shares change. */
class VariableShares implements LocalStore {
  /** Limiters that count here. */
  users = 0
  readonly #options: ResolvedRemoteOptions
  readonly #sharing: Sharing
  readonly #cut = new WeakMap<readonly Limit[], Part>()
  #native: NativeVariableLimiter | undefined

  constructor(options: ResolvedRemoteOptions, sharing: Sharing) {
    this.#options = options
    this.#sharing = sharing
  }

  counters(limits: readonly Limit[]): LocalCounters | undefined {
    const { algorithm, blockForMs: blockFor, capacity, clock } = this.#options
    const parts = partsOf(this.#options, this.#sharing)
    const known = this.#cut.get(limits)
    if (known?.parts === parts) return known.counters
    try {
      this.#native ??= new NativeVariableLimiter({ algorithm, blockFor, capacity, clock })
      const counters = this.#native.with(cut(limits, parts))
      counters.peek('') // Throws what the core cannot count, or has no memory for.
      this.#cut.set(limits, { parts, counters })
      return counters
    } catch {
      return undefined
    }
  }

  reset(key: string): void {
    this.#native?.reset(key)
  }

  release(): void {
    if (--this.users > 0) return
    byGroup.delete(this.#sharing.group)
    this.#native?.close()
  }
}

function cut(limits: readonly Limit[], parts: number): readonly Limit[] {
  const part = (units: number): number => Math.max(1, Math.ceil(units / parts))
  return limits.map((limit) => {
    const { count, windowMs } = limit
    if (ownBurst(limit) === undefined) return { count: part(count), windowMs }
    return { count: part(count), windowMs, burst: part(burstOf(limit)) }
  })
}
