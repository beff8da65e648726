/*
 * What the server sends the page, as JSON. Both sides are compiled against this file, which imports nothing: the
 * page is for browsers, the rest of the package is for Node.
 */

/** How far back the page looks: 10 minutes in seconds, 24 hours in minutes, 30 days in hours. */
export type Range = '10m' | '24h' | '30d'

export interface Counts {
  readonly admitted: number
  readonly denied: number
  readonly dry: number
  readonly refunded: number
  readonly waited: number
  readonly gaveUp: number
  readonly withoutStore: number
}

export interface LimitRow extends Counts {
  readonly name: string
  readonly limits: readonly string[]
  readonly deniedBy: readonly number[]
  readonly algorithm: string | undefined
  readonly tier: string | undefined
  readonly liveKeys: number | undefined
  readonly evictions: number | undefined
}

export interface RouteRow {
  readonly limit: string
  readonly route: string
  readonly admitted: number
  readonly denied: number
  /** Dry, exempt, refused, failed and shield together. */
  readonly other: number
}

export interface KeyRow {
  readonly key: string
  readonly limit: string
  readonly count: number
  readonly error: number
  /** How often it came in the last minute, at least; `undefined` while there is no earlier reading. */
  readonly lastMinute: number | undefined
}

export interface TimesRow {
  readonly count: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

export interface SourceRow {
  readonly source: string
  readonly requestsPerMinute: number
  readonly level: number
  readonly isRegular: boolean
  readonly blockedMs: number
}

export interface ShieldCard {
  readonly name: string
  readonly mode: string
  readonly pressure: boolean
  readonly alarm: boolean
  readonly admitted: number
  readonly refused: number
  readonly wouldRefuse: number
  readonly newcomerShare: number
  readonly blocked: number
  readonly top: readonly SourceRow[]
}

export interface StoreRow {
  readonly limit: string
  readonly available: boolean
  readonly reason: string | undefined
}

/** One limit over time: the oldest step first. */
export interface LimitSeries {
  readonly limit: string
  /** The start of the first step, in milliseconds since 1970. */
  readonly from: number
  readonly admitted: readonly number[]
  readonly denied: readonly number[]
}

export interface Snapshot {
  readonly at: number
  readonly range: Range
  readonly processes: number
  readonly totals: Counts
  readonly limits: readonly LimitRow[]
  readonly routes: readonly RouteRow[]
  /** Routes that are not among them. */
  readonly moreRoutes: number
  readonly asked: readonly KeyRow[]
  readonly denied: readonly KeyRow[]
  readonly times: {
    readonly decision: TimesRow
    readonly store: TimesRow
    readonly wait: TimesRow
  }
  readonly shields: readonly ShieldCard[]
  readonly stores: readonly StoreRow[]
  readonly config: { readonly stale: boolean; readonly loadedAt: number } | undefined
  readonly series: {
    /** Whether it holds all steps of the range, or the last few alone. */
    readonly isWhole: boolean
    readonly stepMs: number
    readonly steps: number
    readonly limits: readonly LimitSeries[]
  }
}
