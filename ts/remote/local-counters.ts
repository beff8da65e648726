import type { Clock } from '../clock.ts'
import { type Decision, deniedFor } from '../decision.ts'
import { tableKey } from '../key-hash.ts'
import { burstOf, type Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import {
  type NativeLimiter,
  type NativeVariableLimiter,
  openVariableLimiter,
} from '../native-limiter.ts'
import type { ChargeMode, Sharing } from './backend.ts'
import { cut, openShare, part, type Share, type Shared, SharedValues } from './local-tables.ts'
import type { ResolvedRemoteOptions } from './options.ts'

/** How a limiter is asked about a key. */
export type Mode = ChargeMode | 'peek'

/** The counters of this process, up to its share of the limits, for limiters that share their counters in the store. */
export interface LocalCounters {
  /** Undefined if there is no memory to count in. */
  decide(limits: readonly Limit[], mode: Mode, key: string, cost: number): Decision | undefined
  /** How each share stands, if they were ever used. */
  standings(limits: readonly Limit[], key: string): readonly LimitStatus[] | undefined
  refund(limits: readonly Limit[], key: string, units: number): void
  block(limits: readonly Limit[], key: string, ms: number): void
  /** Forgets the key under all limits. */
  reset(key: string): void
  close(): void
}

let lastNumber = 0
const clocks = new WeakMap<Clock, number>()

function numberOf(clock: Clock): number {
  const number = clocks.get(clock) ?? ++lastNumber
  clocks.set(clock, number)
  return number
}

const counters = new SharedValues<LocalCounters>()

/**
 * The counters of this process, for one more limiter.
 *
 * @param limits undefined if they change from call to call
 */
export function openLocal(
  limits: readonly Limit[] | undefined,
  options: ResolvedRemoteOptions,
  sharing: Sharing,
): Shared<LocalCounters> {
  const { blockForMs, capacity, clock, processes } = options
  const { group } = sharing
  if (!limits) return counters.acquire(group, 'variable', () => variableCounters(options, sharing))
  const name = [blockForMs, capacity, processes, clock && numberOf(clock)].join()
  return counters.acquire(group, name, () => new FixedCounters(limits, options, sharing))
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
class FixedCounters implements LocalCounters {
  readonly #horizonMs: number
  /** Begins each key: limiters with the same limits and options share their tables. */
  readonly #prefix: string = `${++lastNumber} `
  /** The share in use comes first. */
  #shares: readonly Share[] = []
  #retryAt = 0

  constructor(
    private readonly limits: readonly Limit[],
    private readonly options: ResolvedRemoteOptions,
    private readonly sharing: Sharing,
  ) {
    const windows = limits.map(({ windowMs }) => windowMs)
    this.#horizonMs = Math.max(options.blockForMs, 2 * Math.max(...windows))
  }

  decide(_: unknown, mode: Mode, key: string, cost: number): Decision | undefined {
    const share = this.#share()
    if (share === undefined) return undefined
    const name = this.#nameOf(key)
    if (this.#isPlain) return ask(share.limiter, mode, name, cost)
    return this.#decideAcross(share, mode, name, cost)
  }

  standings(_: unknown, key: string): readonly LimitStatus[] | undefined {
    const [share] = this.#shares
    if (share === undefined) return undefined
    const name = this.#nameOf(key)
    const own = share.limiter.standings(name)
    const available = this.#available(name, share, own)
    return own.map(({ moreMs }, limit) => ({
      remaining: Math.max(0, available[limit] ?? 0),
      moreMs,
    }))
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
  #decideAcross(share: Share, mode: Mode, name: string, cost: number): Decision {
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
  #denied(seen: Decision, mode: Mode, name: string, available: readonly number[]): Decision {
    const [share, ...others] = this.#shares
    const late = share?.parts === this.#parts ? others : this.#shares
    const waits = late.map(({ limiter }) => limiter.peek(name).resetMs)
    const blockMs = mode === 'check' ? this.options.blockForMs : 0
    if (blockMs > 0) blockIn(share?.limiter, name, blockMs)
    const least = Math.min(...available)
    const policy = available.indexOf(least)
    const limit = this.limits[policy]?.count ?? seen.limit
    const denied = deniedFor(seen, Math.max(1, ...waits, blockMs))
    return { ...denied, limit, policy, remaining: Math.max(0, least) }
  }

  /** Units of each limit that the share has left, less what other shares have granted and still counts. */
  #available(name: string, share: Share, own: readonly LimitStatus[]): readonly number[] {
    const others = this.#shares.slice(1).map((other) => usedOf(other, name))
    const parts = this.#parts
    return own.map(({ remaining }, limit) => {
      const whole = share.whole[limit] ?? 0
      const most = share.parts === parts ? whole : part(burstOf(this.limits[limit] as Limit), parts)
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

  #share(): Share | undefined {
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
      (canOpen ? openShare(this.limits, this.options, parts) : undefined)
    if (opened === undefined && canOpen) this.#retryAt = now + RETRY_MS
    const share = opened ?? this.#nearest(parts)
    if (share === undefined) return
    const others = this.#shares.filter((other) => other !== share)
    for (const { keepUntil, release } of others) if (now >= keepUntil) release()
    this.#shares = [share, ...others.filter(({ keepUntil }) => now < keepUntil)]
  }

  /** The smallest share that is large enough, else the largest. */
  #nearest(parts: number): Share | undefined {
    const fewest = [...this.#shares].sort((a, b) => b.parts - a.parts)
    return fewest.find((share) => share.parts <= parts) ?? fewest.at(-1)
  }
}

/** Asks a native limiter, if there is one. */
function ask(limiter: NativeLimiter | undefined, mode: Mode, key: string, cost: number) {
  if (mode === 'check' || mode === 'peek') return limiter?.[mode](key, cost)
  return limiter?.take(key, cost, mode === 'paced')
}

/** Units of each limit that were granted and still count. */
function usedOf({ limiter, whole }: Share, name: string): readonly number[] {
  return limiter.standings(name).map(({ remaining }, limit) => (whole[limit] ?? 0) - remaining)
}

function blockIn(limiter: NativeLimiter | undefined, name: string, ms: number): void {
  try {
    limiter?.block(name, ms)
  } catch {
    // The table is full of blocked keys: the key is denied without a block.
  }
}

/** Counts up to this process's share of the limits of each call. What was used stays used when limits or shares change. */
function variableCounters(options: ResolvedRemoteOptions, sharing: Sharing): LocalCounters {
  const { algorithm, blockForMs: blockFor, capacity, clock, processes } = options
  const shares = new WeakMap<readonly Limit[], { parts: number; limiter: NativeLimiter }>()
  let native: NativeVariableLimiter | undefined
  const under = (limits: readonly Limit[]): NativeLimiter | undefined => {
    const parts = processes ?? sharing.parts
    const known = shares.get(limits)
    if (known?.parts === parts) return known.limiter
    try {
      native ??= openVariableLimiter({ algorithm, blockFor, capacity, clock })
      const limiter = native.with(cut(limits, parts))
      limiter.peek('') // Throws what the core cannot count, or has no memory for.
      shares.set(limits, { parts, limiter })
      return limiter
    } catch {
      return undefined
    }
  }
  return {
    decide: (limits, mode, key, cost) => ask(under(limits), mode, key, cost),
    standings: (limits, key) => under(limits)?.standings(key),
    refund: (limits, key, units) => under(limits)?.refund(key, units),
    block: (limits, key, ms) => under(limits)?.block(key, ms),
    reset: (key) => native?.reset(key),
    close: () => native?.close(),
  }
}
