import type { Clock } from '../clock.ts'
import { type Decision, deniedFor } from '../decision.ts'
import { closedError } from '../errors.ts'
import { tableKey } from '../key-hash.ts'
import { burstOf, type Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import type { Sharing } from './backend.ts'
import { type OnError, warnOnce } from './failure.ts'
import * as local from './local-counters.ts'
import type { ResolvedRemoteOptions } from './options.ts'

const AT_ONCE = { resetMs: 0, limitResetMs: 0, retryAfterMs: 0, retryAfter: 0 }
/** How long a denial without knowledge lasts. */
const UNKNOWN = { resetMs: 1_000, limitResetMs: 1_000, retryAfterMs: 1_000, retryAfter: 1 }
const NO_LOCAL =
  'there is no memory for a local limiter, so a limiter with onError "local" denies while the store is away; set a smaller capacity'

let lastNumber = 0
const clocks = new WeakMap<Clock, number>()

function numberOf(clock: Clock): number {
  const number = clocks.get(clock) ?? ++lastNumber
  clocks.set(clock, number)
  return number
}

const counters = new local.SharedValues<local.LocalCounters>()

/**
 * Decides while the store does not.
 *
 * `local` counts in this process, up to this process's share of each limit, rounded up: P processes together
 * admit at most P - 1 units more than the limit. Its counters are kept from one outage to the next, so that a
 * store that comes and goes grants no fresh budget each time.
 */
export class Fallback {
  #shared: local.Shared<local.LocalCounters> | undefined
  #isClosed = false

  /** @param limits undefined if they change from call to call */
  constructor(
    private readonly limits: readonly Limit[] | undefined,
    private readonly options: ResolvedRemoteOptions,
    private readonly sharing: Sharing,
  ) {
    // What the limiter before this one has granted while the store is away still counts when that one closes.
    if (options.onError === 'local' && counters.has(sharing.group, this.#name)) this.open()
  }

  /** The limit is reported as it was set, not as this process's share of it. */
  decide(limits: readonly Limit[], mode: local.Mode, key: string, cost: number): Decision {
    const decision = this.open()?.decide(limits, mode, key, cost)
    if (decision === undefined) return unknown(this.options.onError, limits)
    return { ...decision, limit: limits[decision.policy]?.count ?? decision.limit }
  }

  /** The counters of this process, if they were ever needed. */
  get counters(): local.LocalCounters | undefined {
    return this.#shared?.value
  }

  /** The counters of this process, unless `onError` decides without any. */
  open(): local.LocalCounters | undefined {
    if (this.options.onError !== 'local') return undefined
    // A caller that was still waiting for the store when the limiter was closed has no answer.
    if (this.#isClosed) throw closedError('the limiter was closed while waiting')
    this.#shared ??= this.#acquire()
    return this.#shared.value
  }

  close(): void {
    this.#isClosed = true
    this.#shared?.release()
    this.#shared = undefined
  }

  /** Limiters that share their counters in the store, and have these options, share those of this process. */
  get #name(): string {
    const { blockForMs, capacity, clock, processes } = this.options
    if (this.limits === undefined) return `v${processes}`
    return [blockForMs, capacity, processes, clock && numberOf(clock)].join()
  }

  #acquire(): local.Shared<local.LocalCounters> {
    const { limits, options, sharing } = this
    return counters.acquire(sharing.group, this.#name, () =>
      limits === undefined
        ? local.variableCounters(options, sharing)
        : new FixedCounters(limits, options, sharing),
    )
  }
}

/** A decision without counters. `open` and `closed` name the first limit; so does `local` without memory. */
function unknown(onError: OnError, limits: readonly Limit[]): Decision {
  const limit = limits[0]?.count ?? 0
  if (onError === 'open') return { ...AT_ONCE, allowed: true, limit, remaining: limit, policy: 0 }
  if (onError === 'local') warnOnce('RATETHROTTLE_NO_LOCAL', NO_LOCAL)
  return { ...UNKNOWN, allowed: false, limit, remaining: 0, policy: 0 }
}

/** Shares of different sizes that are kept, so that what each has granted still counts. */
const MAX_SHARES = 4
/** How long not to ask again for memory that was not there. */
const RETRY_MS = 1_000

/**
 * Counts in this process, up to this process's share of the limits.
 *
 * The share follows the number of processes. What was granted of an earlier, larger or smaller share stays
 * granted until its window has passed: a new share is no new budget.
 */
class FixedCounters implements local.LocalCounters {
  readonly #horizonMs: number
  /** Begins each key: limiters with the same limits and options share their tables. */
  readonly #prefix: string = `${++lastNumber} `
  /** The share in use comes first. */
  #shares: readonly local.Share[] = []
  #retryAt = 0

  constructor(
    private readonly limits: readonly Limit[],
    private readonly options: ResolvedRemoteOptions,
    private readonly sharing: Sharing,
  ) {
    const windows = limits.map(({ windowMs }) => windowMs)
    this.#horizonMs = Math.max(options.blockForMs, 2 * Math.max(...windows))
  }

  decide(_: unknown, mode: local.Mode, key: string, cost: number): Decision | undefined {
    const share = this.#share()
    if (share === undefined) return undefined
    const name = this.#nameOf(key)
    if (this.#isPlain) return local.ask(share.limiter, mode, name, cost)
    return this.#decideAcross(share, mode, name, cost)
  }

  standings(_: unknown, key: string): readonly LimitStatus[] | undefined {
    const [share] = this.#shares
    if (share === undefined) return undefined
    const name = this.#nameOf(key)
    const own = share.limiter.standings(name)
    return this.#available(name, share, own).map((left, limit) => {
      return { remaining: Math.max(0, left), moreMs: own[limit]?.moreMs ?? 0 }
    })
  }

  refund(_: unknown, key: string, units: number): void {
    const name = this.#nameOf(key)
    let rest = units
    for (const share of this.#shares) {
      const back = Math.min(rest, Math.max(...usedOf(share, name)))
      if (back > 0) share.limiter.refund(name, back)
      rest -= back
    }
  }

  block(_: unknown, key: string, ms: number): void {
    const share = this.#share()
    if (share === undefined) return
    share.keepUntil = Math.max(share.keepUntil, performance.now() + ms)
    share.limiter.block(this.#nameOf(key), ms)
  }

  reset(key: string): void {
    for (const { limiter } of this.#shares) limiter.reset(this.#nameOf(key))
  }

  close(): void {
    for (const { release } of this.#shares) release()
    this.#shares = []
  }

  #nameOf(key: string): string {
    return this.#prefix + tableKey(key)
  }

  /** Decides with several shares: what another share has granted counts against this one. */
  #decideAcross(share: local.Share, mode: local.Mode, name: string, cost: number): Decision {
    const { limiter } = share
    const available = this.#available(name, share, limiter.standings(name))
    const least = Math.min(...available)
    const seen = limiter.peek(name, cost)
    if (seen.allowed && least < cost) return this.#denied(seen, mode, name, available)
    const isCharged = seen.allowed ? mode !== 'peek' : mode === 'check'
    const decision = isCharged ? limiter.check(name, cost) : seen
    const left = seen.allowed ? least - (isCharged ? cost : 0) : Math.min(decision.remaining, least)
    return { ...decision, remaining: Math.max(0, left) }
  }

  /** The other shares have granted too much. That is certain to be over once they have recovered. */
  #denied(seen: Decision, mode: local.Mode, name: string, available: readonly number[]): Decision {
    const [share, ...others] = this.#shares
    const late = share?.parts === this.#parts ? others : this.#shares
    const waits = late.map(({ limiter }) => limiter.peek(name).resetMs)
    const blockMs = mode === 'check' ? this.options.blockForMs : 0
    try {
      if (blockMs > 0) share?.limiter.block(name, blockMs)
    } catch {
      // The table is full of blocked keys: the key is denied without a block.
    }
    const least = Math.min(...available)
    const policy = available.indexOf(least)
    const limit = this.limits[policy]?.count ?? seen.limit
    const denied = deniedFor(seen, Math.max(1, ...waits, blockMs))
    return { ...denied, limit, policy, remaining: Math.max(0, least) }
  }

  /** Units of each limit that the share has left, less what other shares have granted and still counts. */
  #available(name: string, share: local.Share, own: readonly LimitStatus[]): readonly number[] {
    const others = this.#shares.slice(1).map((other) => usedOf(other, name))
    const parts = this.#parts
    return own.map(({ remaining }, limit) => {
      const whole = share.whole[limit] ?? 0
      const most =
        share.parts === parts ? whole : local.part(burstOf(this.limits[limit] as Limit), parts)
      const beyond = Math.max(0, whole - most)
      return others.reduce((left, used) => left - (used[limit] ?? 0), remaining - beyond)
    })
  }

  /** Into how many parts the limits are cut now: as option `processes` says, else as many as share them. */
  get #parts(): number {
    return this.options.processes ?? this.sharing.parts
  }

  /** Whether there is one share only, and of the size that it should have. */
  get #isPlain(): boolean {
    return this.#shares.length === 1 && this.#shares[0]?.parts === this.#parts
  }

  #share(): local.Share | undefined {
    const now = performance.now()
    if (!this.#isPlain) this.#pick(this.#parts, now)
    const [share] = this.#shares
    if (share !== undefined) share.keepUntil = Math.max(share.keepUntil, now + this.#horizonMs)
    return share
  }

  /** Puts the share of this size first. Shares of which nothing counts any more are released. */
  #pick(parts: number, now: number): void {
    const canOpen = this.#shares.length < MAX_SHARES && now >= this.#retryAt
    const opened =
      this.#shares.find((known) => known.parts === parts) ??
      (canOpen ? local.openShare(this.limits, this.options, parts) : undefined)
    if (opened === undefined && canOpen) this.#retryAt = now + RETRY_MS
    const share = opened ?? this.#nearest(parts)
    if (share === undefined) return
    const others = this.#shares.filter((other) => other !== share)
    for (const { keepUntil, release } of others) if (now >= keepUntil) release()
    this.#shares = [share, ...others.filter(({ keepUntil }) => now < keepUntil)]
  }

  /** The smallest share that is large enough, else the largest. */
  #nearest(parts: number): local.Share | undefined {
    const fewest = [...this.#shares].sort((a, b) => b.parts - a.parts)
    return fewest.find((share) => share.parts <= parts) ?? fewest.at(-1)
  }
}

/** Units of each limit that were granted and still count. */
function usedOf({ limiter, whole }: local.Share, name: string): readonly number[] {
  return limiter.standings(name).map(({ remaining }, limit) => (whole[limit] ?? 0) - remaining)
}
