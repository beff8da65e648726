import type { Clock } from '../clock.ts'
import { figuresOf, type Limit } from '../limit/limit.ts'
import type { Algorithm } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'

/** Limiters that share one table: what one of them is flooded with takes room from few others. */
const MOST_HOLDERS = 256
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
  /** Keys it should have room for, if the user says how many. */
  readonly capacity: number | undefined
  readonly clock: Clock | undefined
}

/** A native limiter that all who count by the same terms share, each under names of its own. */
export interface Table {
  readonly limiter: RateLimiter
  /** What each limit has left of a key that was never charged. */
  readonly whole: readonly number[]
  /** One holder less: the last one frees the memory. */
  letGo(): void
}

interface Shared extends Table {
  holders: number
}

const NO_CLOCK = {}
const byClock = new WeakMap<object, Map<string, Shared>>()
let open = 0

/**
 * The table for these terms. Ten thousand limiters of one kind, one for each tenant, share one table.
 *
 * @throws RangeError if the native core cannot count by these terms, or there is no memory
 */
export function tableFor(terms: TableTerms): Table {
  const tables = byClock.get(terms.clock ?? NO_CLOCK) ?? new Map<string, Shared>()
  byClock.set(terms.clock ?? NO_CLOCK, tables)
  const { limits, algorithm, blockForMs, capacity } = terms
  const name = JSON.stringify([figuresOf(limits), algorithm, blockForMs, capacity])
  const known = tables.get(name)
  if (known !== undefined && known.holders < MOST_HOLDERS) {
    known.holders++
    return known
  }
  const made = make(terms, () => {
    if (tables.get(name) === made) tables.delete(name)
  })
  tables.set(name, made)
  return made
}

function make(terms: TableTerms, forget: () => void): Shared {
  const { limits, algorithm, blockForMs, clock, capacity = usualCapacity(terms) } = terms
  const blockFor = blockForMs
  const limiter = new RateLimiter(limits, { algorithm, blockFor, capacity, clock })
  open++
  const shared = {
    limiter,
    whole: limiter.standings('').map(({ remaining }) => remaining),
    holders: 1,
    letGo: () => {
      if (--shared.holders > 0) return
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
