import type { Clock } from '../clock.ts'
import { burstOf, figuresOf, type Limit, ownBurst } from '../limit/limit.ts'
import type { Algorithm } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'

/** Limiters that share one table: a flood of keys in one of them takes room from few other limiters. */
const MAX_USERS = 256
/** Keys that a table has room for, and bytes of a log, while there are fewer tables than that. */
const SIZES: readonly (readonly [tables: number, keys: number, bytes: number])[] = [
  [32, 100_000, 16 * 1024 * 1024],
  [1_024, 1_000, 256 * 1024],
  [Number.POSITIVE_INFINITY, 100, 64 * 1024],
]

/** What a table counts. */
export interface TableTerms {
  readonly limits: readonly Limit[]
  readonly algorithm: Algorithm
  readonly blockForMs: number
  /** Keys it should have room for, if option `capacity` says so. */
  readonly capacity: number | undefined
  readonly clock: Clock | undefined
}

/** A native limiter that all limiters with the same terms share, each with its own names. */
export interface Table {
  readonly limiter: RateLimiter
  /** What each limit has left of a key that was never charged. */
  readonly whole: readonly number[]
  /** One user less: the last one frees the memory. */
  release(): void
}

interface SharedTable extends Table {
  users: number
}

const NO_CLOCK = {}
const byClock = new WeakMap<object, Map<string, SharedTable>>()
let open = 0

/**
 * The table for these terms. Ten thousand limiters of one kind, one for each tenant, share one table.
 *
 * @throws RangeError if the native core cannot count by these terms, or there is no memory
 */
function tableFor(terms: TableTerms): Table {
  const tables = byClock.get(terms.clock ?? NO_CLOCK) ?? new Map<string, SharedTable>()
  byClock.set(terms.clock ?? NO_CLOCK, tables)
  const { limits, algorithm, blockForMs, capacity } = terms
  const name = JSON.stringify([figuresOf(limits), algorithm, blockForMs, capacity])
  const known = tables.get(name)
  if (known !== undefined && known.users < MAX_USERS) {
    known.users++
    return known
  }
  const made = make(terms, () => {
    if (tables.get(name) === made) tables.delete(name)
  })
  tables.set(name, made)
  return made
}

function make(terms: TableTerms, forget: () => void): SharedTable {
  const { limits, algorithm, blockForMs, clock, capacity = usualCapacity(terms) } = terms
  const blockFor = blockForMs
  const limiter = new RateLimiter(limits, { algorithm, blockFor, capacity, clock })
  open++
  const shared = {
    limiter,
    whole: limiter.standings('').map(({ remaining }) => remaining),
    users: 1,
    release: () => {
      if (--shared.users > 0) return
      forget()
      limiter.close()
      open--
    },
  }
  return shared
}

/** Two slots a key, each of 16 bytes, and in a log 8 more for each unit of the count. */
function usualCapacity({ limits, algorithm }: TableTerms): number {
  const [, keys = 1, bytes = 1] = SIZES.find(([tables]) => open < tables) ?? []
  const log = (count: number): number => (algorithm === 'sliding-log' ? 8 * count : 0)
  const bytesPerKey = 2 * limits.reduce((sum, { count }) => sum + 16 + log(count), 0)
  return Math.max(1, Math.min(keys, Math.floor(bytes / bytesPerKey)))
}

/** One part of the limits, and what it has granted. */
export interface Share {
  /** Into how many parts the limits are cut. */
  readonly parts: number
  readonly table: Table
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
export function openShare(terms: TableTerms, parts: number): Share | undefined {
  for (const digits of DIGITS) {
    try {
      const table = tableFor(cut(terms, parts, digits))
      return { parts, table, keepUntil: 0 }
    } catch {
      // A part may have no divisor in common with the window, and then be more than the core can count.
    }
  }
  return undefined
}

/** One part of each limit's units, rounded up. */
export function partOf(limits: readonly Limit[], parts: number): readonly number[] {
  return limits.map((limit) => part(burstOf(limit), parts))
}

function cut(terms: TableTerms, parts: number, digits: number): TableTerms {
  const cutOne = (count: number): number => rounded(part(count, parts), digits)
  const limits = terms.limits.map((limit) => {
    const [count, burst] = [cutOne(limit.count), ownBurst(limit)]
    return { count, windowMs: limit.windowMs, burst: burst === undefined ? burst : cutOne(burst) }
  })
  return { ...terms, limits }
}

function part(count: number, parts: number): number {
  return Math.max(1, Math.ceil(count / parts))
}

/** Rounded down, so that all parts together are never more than the whole. */
function rounded(count: number, digits: number): number {
  const step = 10 ** Math.max(0, String(count).length - digits)
  return Math.floor(count / step) * step
}
