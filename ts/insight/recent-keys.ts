import type { TopKey } from './types.ts'

/** How often a key came between two readings of a table: at least so often. */
export interface RecentKey {
  readonly key: string
  readonly limit: string
  readonly count: number
}

/** How often each key of a table came for certain. Several keys may be shown alike. */
export type Certain = ReadonlyMap<string, RecentKey>

export function idOf({ limit, key }: { readonly limit: string; readonly key: string }): string {
  return JSON.stringify([limit, key])
}

/** A reading of a table, to be compared with a later one. */
export function certainOf(keys: readonly TopKey[]): Certain {
  const sums = new Map<string, RecentKey>()
  for (const { key, limit, count, error } of keys) {
    const id = idOf({ limit, key })
    sums.set(id, { key, limit, count: (sums.get(id)?.count ?? 0) + Math.max(0, count - error) })
  }
  return sums
}

/**
 * What came between two readings, the most first. What is certain of a key grows by one with each time that it comes,
 * and begins at 0 when the key takes the place of another: so no difference is too large. One exception: where several
 * threads count in one table, a key may have stood just below those that the earlier reading has.
 */
export function between(earlier: Certain, later: Certain): RecentKey[] {
  const grown = [...later].map(([id, one]) => {
    return { ...one, count: one.count - (earlier.get(id)?.count ?? 0) }
  })
  return sorted(grown.filter(({ count }) => count > 0))
}

/** The same keys of several tables as one. */
export function sumOfKeys(all: readonly RecentKey[]): RecentKey[] {
  return sorted([...certainOf(all.map((one) => ({ ...one, error: 0 }))).values()])
}

function sorted(keys: RecentKey[]): RecentKey[] {
  return keys.sort((a, b) => b.count - a.count)
}
