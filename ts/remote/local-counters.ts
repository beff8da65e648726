import type { Decision } from '../decision.ts'
import { figuresOf, type Limit, ownBurst } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import {
  type NativeLimiter,
  type NativeVariableLimiter,
  openVariableLimiter,
} from '../native-limiter.ts'
import type { Algorithm } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import type { ChargeMode, Sharing } from './backend.ts'
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

/** Asks a native limiter, if there is one. */
export function ask(
  limiter: NativeLimiter | undefined,
  mode: Mode,
  key: string,
  cost: number,
): Decision | undefined {
  if (mode === 'check' || mode === 'peek') return limiter?.[mode](key, cost)
  return limiter?.take(key, cost, mode === 'paced')
}

/** Counts up to this process's share of the limits of each call. What was used stays used when limits or shares change. */
export function variableCounters(options: ResolvedRemoteOptions, sharing: Sharing): LocalCounters {
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

/** What several users share, for one of them. */
export interface Shared<T> {
  readonly value: T
  /** To be called once, when it is not needed any more. Returns what the value's `close` does. */
  release(): unknown
}

/** Values that several users share by name: made for the first of them, closed with the last. */
export class SharedValues<T extends { close(): unknown }> {
  /** How many there are. */
  size = 0
  readonly #byOwner = new WeakMap<object, Map<string, { readonly value: T; users: number }>>()

  /** @param maxUsers a value that has as many is left to them, and another takes its name */
  constructor(private readonly maxUsers: number = Number.POSITIVE_INFINITY) {}

  /** Whether others use it now. */
  has(owner: object, name: string): boolean {
    return this.#byOwner.get(owner)?.has(name) === true
  }

  acquire(owner: object, name: string, make: () => T): Shared<T> {
    const byName = this.#byOwner.get(owner) ?? new Map<string, { value: T; users: number }>()
    this.#byOwner.set(owner, byName)
    const known = byName.get(name)
    const isNew = known === undefined || known.users >= this.maxUsers
    const shared = isNew ? { value: make(), users: 0 } : known
    if (isNew) this.size++
    byName.set(name, shared)
    shared.users++
    const release = (): unknown => {
      if (--shared.users > 0) return undefined
      if (byName.get(name) === shared) byName.delete(name)
      this.size--
      return shared.value.close()
    }
    return { value: shared.value, release }
  }
}

/** A native limiter that all limiters with the same limits and options share, each with its own names. */
interface Table {
  readonly limiter: RateLimiter
  /** What each limit has left of a key that was never charged. */
  readonly whole: readonly number[]
  close(): void
}

/** One part of the limits, and what it has granted. */
export interface Share extends Omit<Table, 'close'> {
  /** Into how many parts the limits are cut. */
  readonly parts: number
  readonly release: () => unknown
  /** `performance.now()` after which nothing that it has granted counts any more. */
  keepUntil: number
}

/** Significant digits to which a part is rounded down if the core cannot count it as it is. */
const DIGITS = [15, 3, 2, 1]

/**
 * Opens the table for one of `parts` equal parts, each rounded up to a whole unit.
 *
 * @returns undefined if there is no memory for it
 */
export function openShare(
  limits: readonly Limit[],
  options: ResolvedRemoteOptions,
  parts: number,
): Share | undefined {
  for (const digits of DIGITS) {
    try {
      const { value, release } = openTable(cut(limits, parts, digits), options)
      return { ...value, parts, release, keepUntil: 0 }
    } catch {
      // A part may have no divisor in common with the window, and then be more than the core can count.
    }
  }
  return undefined
}

/** One of `parts` equal parts of each limit, rounded up to a whole unit, and then down to these digits. */
export function cut(limits: readonly Limit[], parts: number, digits = 15): readonly Limit[] {
  const cutOne = (units: number): number => rounded(part(units, parts), digits)
  return limits.map((limit) => {
    const [count, burst] = [cutOne(limit.count), ownBurst(limit)]
    return { count, windowMs: limit.windowMs, burst: burst === undefined ? burst : cutOne(burst) }
  })
}

export function part(units: number, parts: number): number {
  return Math.max(1, Math.ceil(units / parts))
}

/** Rounded down, so that all parts together are never more than the whole. */
function rounded(units: number, digits: number): number {
  const step = 10 ** Math.max(0, String(units).length - digits)
  return Math.floor(units / step) * step
}

/** Limiters that share one table: a flood of keys in one of them takes room from few other limiters. */
const MAX_USERS = 256
/** Keys that a table has room for, and bytes of a log, while there are fewer tables than that. */
const SIZES: readonly (readonly [tables: number, keys: number, bytes: number])[] = [
  [32, 100_000, 16 * 1024 * 1024],
  [1_024, 1_000, 256 * 1024],
  [Number.POSITIVE_INFINITY, 100, 64 * 1024],
]

const NO_CLOCK = {}
const tables = new SharedValues<Table>(MAX_USERS)

/**
 * The table for these limits. Ten thousand limiters of one kind, one for each tenant, share few tables.
 *
 * @throws RangeError if the native core cannot count them, or there is no memory
 */
function openTable(limits: readonly Limit[], options: ResolvedRemoteOptions): Shared<Table> {
  const { algorithm, blockForMs, capacity, clock } = options
  const name = JSON.stringify([figuresOf(limits), algorithm, blockForMs, capacity])
  const make = (): Table => {
    const room = capacity ?? usualCapacity(limits, algorithm)
    const native = { algorithm, blockFor: blockForMs, capacity: room, clock }
    const limiter = new RateLimiter(limits, native)
    const whole = limiter.standings('').map(({ remaining }) => remaining)
    return { limiter, whole, close: () => limiter.close() }
  }
  return tables.acquire(clock ?? NO_CLOCK, name, make)
}

/** Two slots a key, each of 16 bytes, and in a log 8 more for each unit of the count. */
function usualCapacity(limits: readonly Limit[], algorithm: Algorithm): number {
  const [, keys = 1, bytes = 1] = SIZES.find(([most]) => tables.size < most) ?? []
  const log = (count: number): number => (algorithm === 'sliding-log' ? 8 * count : 0)
  const bytesPerKey = 2 * limits.reduce((sum, { count }) => sum + 16 + log(count), 0)
  return Math.max(1, Math.min(keys, Math.floor(bytes / bytesPerKey)))
}
