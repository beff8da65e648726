import { figuresOf, type Limit, ownBurst } from '../limit/limit.ts'
import type { Algorithm } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import type { ResolvedRemoteOptions } from './options.ts'

/** What several users share, for one of them. */
export interface Shared<T> {
  readonly value: T
  /** Called once, when it is not needed any more. */
  release(): void
}

/** Values that several users share by name: made for the first of them, closed with the last. */
export class SharedValues<T extends { close(): void }> {
  /** How many there are. */
  size = 0
  readonly #byOwner = new WeakMap<object, Map<string, { readonly value: T; users: number }>>()

  /** @param maxUsers a value that has as many is left to them, and another takes its name */
  constructor(private readonly maxUsers: number = Number.POSITIVE_INFINITY) {}

  acquire(owner: object, name: string, make: () => T): Shared<T> {
    const byName = this.#byOwner.get(owner) ?? new Map<string, { value: T; users: number }>()
    this.#byOwner.set(owner, byName)
    const known = byName.get(name)
    const isNew = known === undefined || known.users >= this.maxUsers
    const shared = isNew ? { value: make(), users: 0 } : known
    if (isNew) this.size++
    byName.set(name, shared)
    shared.users++
    const release = (): void => {
      if (--shared.users > 0) return
      if (byName.get(name) === shared) byName.delete(name)
      this.size--
      shared.value.close()
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
  readonly release: () => void
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
