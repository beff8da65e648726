import { burstOf, type Limit, ownBurst } from '../limit/limit.ts'
import { type Table, type TableTerms, tableFor } from './table.ts'

/** One part of the limits, and what was granted of it. */
export interface Share {
  /** Into how many parts the limits are cut. */
  readonly parts: number
  readonly table: Table
  /** `performance.now()` after which nothing that was granted counts any more. */
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

/** One part of what each limit has when it is whole, rounded up. */
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
