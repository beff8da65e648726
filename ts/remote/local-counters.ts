import type { Clock } from '../clock.ts'
import { type Decision, deniedFor } from '../decision.ts'
import { tableKey } from '../key-hash.ts'
import type { Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import type { RateLimiter } from '../rate-limiter.ts'
import { partsOf, type Sharing } from './backend.ts'
import type { LocalCounters, LocalStore } from './fallback.ts'
import { openShare, partOf, type Share, type TableTerms } from './local-tables.ts'
import type { ResolvedRemoteOptions } from './options.ts'

/** Shares of different sizes that are kept, so that what each has granted still counts. */
const MAX_SHARES = 4
/** How long not to ask again for memory that was not there. */
const RETRY_MS = 1_000

let lastNumber = 0

/** The shares of limiters that share their counters in the store, by their terms. */
const byGroup = new WeakMap<object, Map<string, LocalShares>>()
const clocks = new WeakMap<Clock, number>()

/** The counters of this process under limits that stay the same, for one more limiter. */
export function sharesFor(
  limits: readonly Limit[],
  options: ResolvedRemoteOptions,
  sharing: Sharing,
): LocalStore {
  const { blockForMs, capacity, clock, processes } = options
  const known = byGroup.get(sharing.group) ?? new Map<string, LocalShares>()
  byGroup.set(sharing.group, known)
  const name = [blockForMs, capacity, processes, clock && numberOf(clock)].join()
  const forget = (): boolean => known.delete(name)
  const shares = known.get(name) ?? new LocalShares(limits, options, sharing, forget)
  known.set(name, shares)
  shares.users++
  return shares
}

function numberOf(clock: Clock): number {
  const known = clocks.get(clock) ?? ++lastNumber
  clocks.set(clock, known)
  return known
}

/**
 * Counts in this process, up to this process's share of the limits.
 *
 * The share follows the number of processes. What was granted of an earlier, larger or smaller share stays
 * granted until its window has passed: a new share is no new budget.
 */
class LocalShares implements LocalStore, LocalCounters {
  /** Limiters that count here. */
  users = 0
  readonly #limits: readonly Limit[]
  readonly #terms: TableTerms
  readonly #options: ResolvedRemoteOptions
  readonly #sharing: Sharing
  readonly #horizonMs: number
  readonly #forget: () => void
  /** Begins each key: limiters with the same terms share their tables. */
  readonly #prefix: string = `${++lastNumber} `
  /** The share in use comes first. */
  #shares: Share[] = []
  #retryAt = 0

  /** @param forget called when no limiter counts here any more */
  constructor(
    limits: readonly Limit[],
    options: ResolvedRemoteOptions,
    sharing: Sharing,
    forget: () => void,
  ) {
    const { algorithm, blockForMs, capacity, clock } = options
    this.#limits = limits
    this.#terms = { limits, algorithm, blockForMs, capacity, clock }
    this.#options = options
    this.#sharing = sharing
    this.#forget = forget
    this.#horizonMs = Math.max(blockForMs, 2 * Math.max(...limits.map((limit) => limit.windowMs)))
  }

  counters(): LocalCounters {
    return this
  }

  /** Undefined if there is no memory to count in. */
  check(key: string, cost: number): Decision | undefined {
    return this.#ask(key, cost, cost > 0)
  }

  /** Undefined if there is no memory to count in. */
  peek(key: string, cost: number): Decision | undefined {
    return this.#ask(key, cost, false)
  }

  /** As `check`, but a denial begins no block. Undefined if there is no memory to count in. */
  take(key: string, cost: number, isPaced: boolean): Decision | undefined {
    const share = this.#share()
    if (share === undefined) return undefined
    if (this.#isPlain(this.#parts)) {
      return share.table.limiter.take(this.#nameOf(key), cost, isPaced)
    }
    const seen = this.peek(key, cost)
    return seen?.allowed === true ? this.check(key, cost) : seen
  }

  /** How each of this process's shares stands, if they were ever used. */
  standings(key: string): readonly LimitStatus[] | undefined {
    const [share] = this.#shares
    if (share === undefined) return undefined
    const name = this.#nameOf(key)
    const own = share.table.limiter.standings(name)
    if (this.#isPlain(this.#parts)) return own
    const available = this.#available(name, share, own)
    return own.map(({ moreMs }, limit) => ({
      remaining: Math.max(0, available[limit] ?? 0),
      moreMs,
    }))
  }

  refund(key: string, units: number): void {
    const name = this.#nameOf(key)
    let rest = units
    for (const share of this.#shares) {
      const back = Math.min(rest, Math.max(...usedOf(share, name)))
      if (back > 0) share.table.limiter.refund(name, back)
      rest -= back
    }
  }

  block(key: string, ms: number): void {
    const share = this.#share()
    if (share === undefined) return
    share.keepUntil = Math.max(share.keepUntil, performance.now() + ms)
    share.table.limiter.block(this.#nameOf(key), ms)
  }

  reset(key: string): void {
    for (const { table } of this.#shares) table.limiter.reset(this.#nameOf(key))
  }

  /** One limiter less: the last one frees the memory. */
  release(): void {
    if (--this.users > 0) return
    this.#forget()
    for (const { table } of this.#shares.splice(0)) table.release()
  }

  #nameOf(key: string): string {
    return this.#prefix + tableKey(key)
  }

  #ask(key: string, cost: number, charges: boolean): Decision | undefined {
    const share = this.#share()
    if (share === undefined) return undefined
    const name = this.#nameOf(key)
    const { limiter } = share.table
    if (!this.#isPlain(this.#parts))
      return this.#decideAcross(name, Math.max(1, cost), charges, share)
    return charges ? limiter.check(name, cost) : limiter.peek(name, cost)
  }

  /** Decides with several shares: what another share has granted counts against this one. */
  #decideAcross(name: string, cost: number, charges: boolean, share: Share): Decision {
    const { limiter } = share.table
    const available = this.#available(name, share, limiter.standings(name))
    const least = Math.min(...available)
    const seen = limiter.peek(name, cost)
    if (!seen.allowed) {
      const denied = charges ? limiter.check(name, cost) : seen
      return { ...denied, remaining: Math.max(0, Math.min(denied.remaining, least)) }
    }
    if (least >= cost) {
      const decision = charges ? limiter.check(name, cost) : seen
      return { ...decision, remaining: least - (charges ? cost : 0) }
    }
    return this.#denied(name, seen, available, charges)
  }

  /** The other shares have granted too much. That is certain to be over once they have recovered. */
  #denied(name: string, seen: Decision, available: readonly number[], charges: boolean): Decision {
    const [share, ...others] = this.#shares
    const late = share?.parts === this.#parts ? others : this.#shares
    const waits = late.map(({ table }) => table.limiter.peek(name).resetMs)
    const { blockForMs } = this.#terms
    const blocks = charges && blockForMs > 0
    if (blocks) blockIn(share?.table.limiter, name, blockForMs)
    const ms = Math.max(1, ...waits, blocks ? blockForMs : 0)
    const least = Math.min(...available)
    const policy = available.indexOf(least)
    const limit = this.#limits[policy]?.count ?? seen.limit
    return { ...deniedFor(seen, ms), limit, policy, remaining: Math.max(0, least) }
  }

  /** Units of each limit that the share has left, less what other shares have granted and still counts. */
  #available(name: string, share: Share, own: readonly LimitStatus[]): readonly number[] {
    const others = this.#shares.slice(1).map((other) => usedOf(other, name))
    const parts = this.#parts
    const part = share.parts === parts ? undefined : partOf(this.#limits, parts)
    return own.map(({ remaining }, limit) => {
      const whole = share.table.whole[limit] ?? 0
      const beyond = Math.max(0, whole - (part?.[limit] ?? whole))
      return others.reduce((left, used) => left - (used[limit] ?? 0), remaining - beyond)
    })
  }

  /** Into how many parts the limits are cut now. */
  get #parts(): number {
    return partsOf(this.#options, this.#sharing)
  }

  #share(): Share | undefined {
    const now = performance.now()
    const parts = this.#parts
    const [first] = this.#shares
    const share = this.#isPlain(parts) ? first : this.#pick(parts, now)
    if (share !== undefined) share.keepUntil = Math.max(share.keepUntil, now + this.#horizonMs)
    return share
  }

  /** Whether there is one share only, and of this size. */
  #isPlain(parts: number): boolean {
    return this.#shares.length === 1 && this.#shares[0]?.parts === parts
  }

  /** The share of this size, which comes first from now on. Shares of which nothing counts any more are released. */
  #pick(parts: number, now: number): Share | undefined {
    const share =
      this.#shares.find((known) => known.parts === parts) ??
      this.#open(parts, now) ??
      this.#nearest(parts)
    if (share === undefined) return undefined
    const kept = this.#shares.filter((other) => other !== share && now < other.keepUntil)
    for (const other of this.#shares) {
      if (other !== share && !kept.includes(other)) other.table.release()
    }
    this.#shares = [share, ...kept]
    return share
  }

  #open(parts: number, now: number): Share | undefined {
    if (this.#shares.length >= MAX_SHARES || now < this.#retryAt) return undefined
    const share = openShare(this.#terms, parts)
    if (share === undefined) this.#retryAt = now + RETRY_MS
    return share
  }

  /** The smallest share that is large enough, else the largest. */
  #nearest(parts: number): Share | undefined {
    const fewest = [...this.#shares].sort((a, b) => b.parts - a.parts)
    return fewest.find((share) => share.parts <= parts) ?? fewest.at(-1)
  }
}

/** Units of each limit that were granted and still count. */
function usedOf({ table }: Share, name: string): readonly number[] {
  const standings = table.limiter.standings(name)
  return standings.map(({ remaining }, limit) => (table.whole[limit] ?? 0) - remaining)
}

function blockIn(limiter: RateLimiter | undefined, name: string, ms: number): void {
  try {
    limiter?.block(name, ms)
  } catch {
    // The table is full of blocked keys: the key is denied without a block.
  }
}
