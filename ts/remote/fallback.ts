import { type Decision, retryAfterOf } from '../decision.ts'
import { closedError } from '../errors.ts'
import { burstOf, type Limit, ownBurst } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import { NativeVariableLimiter } from '../variable/native.ts'
import { partsOf, type Sharing } from './backend.ts'
import type { OnError, ResolvedRemoteOptions } from './options.ts'

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

/** Where a {@link Fallback} counts. */
export interface LocalSource {
  /** The counters for these limits, which are opened if need be. Undefined if there is no memory to count in. */
  open(limits: readonly Limit[]): LocalCounters | undefined
  /** The counters for these limits, if any were ever used. */
  opened(limits: readonly Limit[]): LocalCounters | undefined
  /** Forgets the key under all limits. */
  reset(key: string): void
  close(): void
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
  readonly #source: LocalSource
  #isClosed = false

  constructor(onError: OnError, source: LocalSource) {
    this.#onError = onError
    this.#source = source
  }

  check(limits: readonly Limit[], key: string, cost: number): Decision {
    return this.#asWhole(limits, this.#open(limits)?.check(key, cost))
  }

  take(limits: readonly Limit[], key: string, cost: number, isPaced: boolean): Decision {
    return this.#asWhole(limits, this.#open(limits)?.take(key, cost, isPaced))
  }

  peek(limits: readonly Limit[], key: string, cost: number): Decision {
    return this.#asWhole(limits, this.#open(limits)?.peek(key, cost))
  }

  /** How each of this process's shares stands, if they were ever used. */
  standings(limits: readonly Limit[], key: string): readonly LimitStatus[] | undefined {
    return this.#source.opened(limits)?.standings(key)
  }

  refund(limits: readonly Limit[], key: string, units: number): void {
    this.#source.opened(limits)?.refund(key, units)
  }

  block(limits: readonly Limit[], key: string, ms: number): void {
    this.#open(limits)?.block(key, ms)
  }

  reset(key: string): void {
    this.#source.reset(key)
  }

  close(): void {
    this.#isClosed = true
    this.#source.close()
  }

  /** The limit is reported as it was set, not as this process's share of it. */
  #asWhole(limits: readonly Limit[], decision: Decision | undefined): Decision {
    if (decision === undefined) return unknown(this.#onError, limits)
    return { ...decision, limit: limits[decision.policy]?.count ?? decision.limit }
  }

  #open(limits: readonly Limit[]): LocalCounters | undefined {
    if (this.#onError !== 'local') return undefined
    // A caller that was still waiting for the store when the limiter was closed has no answer.
    if (this.#isClosed) throw closedError('the limiter was closed while waiting')
    return this.#source.open(limits)
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

interface SharedNative {
  readonly native: NativeVariableLimiter
  users: number
}

/** Limiters that share their counters in the store share them here. */
const byGroup = new WeakMap<object, SharedNative>()

/** One part of some limits, as the native limiter sees it. */
interface Part {
  readonly parts: number
  readonly counters: LocalCounters
}

/** Counts under limits that change from call to call. What was used stays used when limits or shares change. */
export class VariableLocalSource implements LocalSource {
  readonly #options: ResolvedRemoteOptions
  readonly #sharing: Sharing
  readonly #cut = new WeakMap<readonly Limit[], Part>()
  #shared: SharedNative | undefined

  constructor(options: ResolvedRemoteOptions, sharing: Sharing) {
    this.#options = options
    this.#sharing = sharing
  }

  open(limits: readonly Limit[]): LocalCounters | undefined {
    const parts = partsOf(this.#options, this.#sharing)
    const known = this.#cut.get(limits)
    if (known?.parts === parts) return known.counters
    try {
      this.#shared ??= this.#share()
      const counters = this.#shared.native.with(cut(limits, parts))
      counters.peek('') // Throws what the core cannot count, or has no memory for.
      this.#cut.set(limits, { parts, counters })
      return counters
    } catch {
      return undefined
    }
  }

  opened(limits: readonly Limit[]): LocalCounters | undefined {
    return this.#shared === undefined ? undefined : this.open(limits)
  }

  reset(key: string): void {
    this.#shared?.native.reset(key)
  }

  close(): void {
    const shared = this.#shared
    this.#shared = undefined
    if (shared === undefined || --shared.users > 0) return
    byGroup.delete(this.#sharing.group)
    shared.native.close()
  }

  #share(): SharedNative {
    const { algorithm, blockForMs: blockFor, capacity, clock } = this.#options
    const native = (): NativeVariableLimiter =>
      new NativeVariableLimiter({ algorithm, blockFor, capacity, clock })
    const shared = byGroup.get(this.#sharing.group) ?? { native: native(), users: 0 }
    byGroup.set(this.#sharing.group, shared)
    shared.users++
    return shared
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
