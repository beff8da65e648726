import type { SeriesPoint } from './types.ts'

/** What was counted of one limit. */
export type StepCounts = Omit<SeriesPoint, 'at'>

export const NONE: StepCounts = { admitted: 0, denied: 0, dry: 0, waited: 0 }

const COUNTS = ['admitted', 'denied', 'dry', 'waited'] as const
/** Limits of one process, and of all others together: an insight has 64 rows, and one for the others. */
const MAX_LIMITS = 65
const MAX_NAME = 64
const MAX_PROCESSES = 100_000
/** Limits beyond those that are kept. */
const OTHER = 'other'

/** Adds counts to those that a limit has. */
export function addCounts(
  to: Map<string, StepCounts>,
  limit: string,
  counts: StepCounts,
  most: number = MAX_LIMITS,
): void {
  const name = to.has(limit) || to.size < most - 1 ? limit : OTHER
  const before = to.get(name)
  to.set(name, before === undefined ? counts : summed(before, counts))
}

export function summed(one: StepCounts, other: StepCounts): StepCounts {
  return {
    admitted: one.admitted + other.admitted,
    denied: one.denied + other.denied,
    dry: one.dry + other.dry,
    waited: one.waited + other.waited,
  }
}

/** A step of one process as a text, and the sum of its counts: the text may replace one with a smaller sum. */
export function writeStep(
  processes: number,
  limits: Iterable<readonly [limit: string, counts: StepCounts]>,
): { readonly total: number; readonly value: string } {
  let total = 0
  const rows: (readonly [string, ...number[]])[] = []
  for (const [limit, counts] of limits) {
    const numbers = COUNTS.map((count) => counts[count])
    const sum = numbers.reduce((all, one) => all + one, 0)
    if (sum === 0 || rows.length >= MAX_LIMITS) continue
    total += sum
    rows.push([limit.slice(0, MAX_NAME), ...numbers])
  }
  return { total, value: JSON.stringify([processes, ...rows]) }
}

/** A step of one process. */
export interface ReadStep {
  readonly processes: number
  readonly limits: readonly (readonly [limit: string, counts: StepCounts])[]
}

/** Reads such a text, in which there may be anything: what is no count is left out. */
export function readStep(value: string): ReadStep | undefined {
  const [processes, ...rows] = parsed(value)
  if (!isCount(processes) || processes > MAX_PROCESSES) return undefined
  const limits = rows.slice(0, MAX_LIMITS).flatMap((row) => {
    const [limit, ...numbers] = Array.isArray(row) ? (row as unknown[]) : []
    const isRow = typeof limit === 'string' && limit !== '' && limit.length <= MAX_NAME
    if (!isRow || numbers.length !== COUNTS.length || !numbers.every(isCount)) return []
    const [admitted = 0, denied = 0, dry = 0, waited = 0] = numbers as number[]
    return [[limit, { admitted, denied, dry, waited }] as const]
  })
  return { processes, limits }
}

function parsed(value: string): readonly unknown[] {
  try {
    const read: unknown = JSON.parse(value)
    return Array.isArray(read) ? read : []
  } catch {
    return []
  }
}

/** A sum of 2^53 of them is still a number. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 1e12
}
