import { between, certainOf, type RecentKey, sumOfKeys } from '../../insight/recent-keys.ts'
import type { Reading, ReadProcess } from './figures.ts'

/** What came between two readings: of each key, how often at least. */
export interface Recent {
  readonly ms: number
  readonly asked: readonly RecentKey[]
  readonly denied: readonly RecentKey[]
}

/** The difference of two readings; `null` if none of the processes is in both. */
export function recentOf(earlier: Reading | undefined, later: Reading): Recent | null {
  if (earlier === undefined) return null
  const ms = later.at - earlier.at
  // Process by process: one that has come or gone in between would change the sums by all that it ever counted.
  const pairs = [...later.processes].flatMap(([id, now]) => {
    const before = earlier.processes.get(id)
    return before !== undefined || isNew(now, ms) ? [{ before, now }] : []
  })
  if (pairs.length === 0) return null
  const keys = (table: 'asked' | 'denied'): RecentKey[] =>
    sumOfKeys(
      pairs.flatMap(({ before, now }) =>
        between(certainOf(before?.report.top[table] ?? []), certainOf(now.report.top[table])),
      ),
    )
  return { ms: Math.round(ms), asked: keys('asked'), denied: keys('denied') }
}

/** Whether all that it has counted came since the earlier reading. What processes share may be older than they are. */
function isNew({ about }: ReadProcess, ms: number): boolean {
  return about.shared === undefined && about.uptimeMs <= ms
}
