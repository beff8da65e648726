import type { LimitCounter } from '../counting.ts'
import type { AdapterLimiterOptions } from '../create.ts'
import { type Counters, type Counting, openFixed } from '../http/request-limits.ts'
import type { Limit } from '../limit/limit.ts'
import { type MaybePromise, readiness, type StoreStatus } from '../limiter.ts'
import type { ReadCallOptions } from './options.ts'

/** The counters of calls under limits that are always the same. */
export interface CallCounters {
  readonly limiter: Counting
  /** Where an insight counts what they decide. */
  readonly row: LimitCounter | undefined
  reset(key: string): MaybePromise<void>
  ready(): Promise<StoreStatus>
  close(): void
}

/**
 * @param place what an insight calls a limiter without a name
 * @returns `undefined` where there are no limits
 */
export function openCounters(read: ReadCallOptions, place: string): CallCounters | undefined {
  const { limits } = read
  if (limits === undefined) return undefined
  const { counters, row, end } = openCounted(read, limits, place)
  return {
    limiter: counters.with(limits),
    row,
    reset: (key) => counters.reset(key),
    ready: () => readiness(counters),
    close: () => {
      const closed = counters.close()
      // What a store says when its connection ends helps no caller.
      if (closed instanceof Promise) closed.catch(() => {})
      end()
    },
  }
}

interface Opened {
  readonly counters: Counters
  readonly row: LimitCounter | undefined
  end(): void
}

function openCounted(
  { insight, dryRun, limiter }: ReadCallOptions,
  limits: readonly Limit[],
  place: string,
): Opened {
  const make = (own: AdapterLimiterOptions): Counters => openFixed(limits, own)
  if (insight === undefined) return { counters: make(limiter), row: undefined, end: () => {} }
  // Loaded on demand: most programs have none.
  const loaded = require('../http/counted-limits.js') as typeof import('../http/counted-limits.ts')
  const storage = limiter.storage as string | object | undefined
  const about = { scope: undefined, lasting: undefined, limiter, dryRun, storage }
  const opened = loaded.openRow(insight, about, limits, place)
  const counters = loaded.makeCounted(opened, storage, limiter, make)
  opened.serve(counters, limits, counters)
  return { counters, row: opened.row, end: opened.end }
}
