import type { ConfigStatus, RouteOutcome, Served } from '../counting.ts'
import type { ShieldState, TopSource } from '../shield/types.ts'

/** How keys are shown: 8 hex digits of a keyed hash, an address without its end, or as they are. */
export type KeyStyle = 'hash' | 'mask' | 'plain'

/** What a limiter has done. All are counts of calls: the first four of the report's time, the others of all time. */
export interface LimitCounts {
  readonly admitted: number
  readonly denied: number
  /** Denials that were only reported. */
  readonly dry: number
  /** Callers that waited for their turn and were admitted. */
  readonly waited: number
  readonly refunded: number
  /** Callers that left while they waited. */
  readonly gaveUp: number
  /** Decisions made in place of a store that did not answer. */
  readonly withoutStore: number
}

/** The counts of requests of one route. */
export type RouteCounts = Readonly<Record<RouteOutcome, number>>

/** One limiter. */
export interface LimitReport extends LimitCounts {
  readonly name: string
  /** Such as `100/minute`; empty where they depend on the request, or only another process has this limiter. */
  readonly limits: readonly string[]
  /** Denials by each limit, in the order of `limits`: which one binds. Since the insight was made. */
  readonly deniedBy: readonly number[]
  readonly algorithm: string | undefined
  readonly tier: 'memory' | 'shared' | 'redis' | 'store' | undefined
  /** Of limiters of this process in memory or shared memory. */
  readonly evictions: number | undefined
  readonly liveKeys: number | undefined
  /** Callers that wait for their turn now, in this process. Missing where it is not known. */
  readonly waiting?: number | undefined
}

/** The requests of one route under one limiter, of this process and those that share the insight's memory. */
export interface RouteReport extends RouteCounts {
  readonly limit: string
  /** Such as `GET /users/:id`. */
  readonly route: string
}

/** A key that asked, or was denied, often. */
export interface TopKey {
  /** In the style of option `keys`. */
  readonly key: string
  readonly limit: string
  /** At least `count - error` and at most `count`. */
  readonly count: number
  readonly error: number
}

/** A distribution of times, in milliseconds. */
export interface Times {
  readonly count: number
  /** Of the cells' middles: off by at most a fifth. */
  readonly sumMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** For each cell up to the last that is not empty: its upper bound and how many lie below that bound. */
  readonly cells: readonly { readonly belowMs: number; readonly count: number }[]
}

/** A store behind a network, as this process sees it. */
export interface StoreReport {
  readonly limit: string
  readonly available: boolean
  readonly reason: string | undefined
}

/** A shield of this process. */
export interface ShieldReport extends ShieldState {
  readonly name: string
  readonly mode: string
  /** The sources that ask most, with addresses in the style of option `keys`. */
  readonly top: readonly TopSource[]
}

/** What is known, as plain data: `JSON.stringify` prints all of it. Its shape changes only with `version`. */
export interface Report {
  readonly version: 1
  /** When it was made, in milliseconds since 1970. */
  readonly at: number
  /** The time that its counts are about, in milliseconds; `undefined`: all since the insight was made. */
  readonly sinceMs: number | undefined
  /** Processes that count in it and are alive. */
  readonly processes: number
  readonly totals: LimitCounts
  readonly limits: readonly LimitReport[]
  /** Since the insight was made. */
  readonly routes: readonly RouteReport[]
  /** Since the insight was made. */
  readonly top: { readonly asked: readonly TopKey[]; readonly denied: readonly TopKey[] }
  /** Since the insight was made. Decisions in memory are sampled: one of 256. */
  readonly times: { readonly decision: Times; readonly store: Times; readonly wait: Times }
  readonly shields: readonly ShieldReport[]
  readonly stores: readonly StoreReport[]
  /** Of limiters that come from a configuration file: whether the last reload failed. */
  readonly config: ConfigStatus | undefined
}

/** The steps of a series, and how far back each goes: 10 minutes, 24 hours, 30 days. */
export type SeriesUnit = 'second' | 'minute' | 'hour'

/** What happened in one step. */
export interface SeriesPoint {
  /** The start of the step, in milliseconds since 1970. */
  readonly at: number
  readonly admitted: number
  readonly denied: number
  readonly dry: number
  readonly waited: number
}

/** A limit over time, oldest step first, without gaps. */
export interface Series {
  readonly limit: string
  readonly unit: SeriesUnit
  readonly points: readonly SeriesPoint[]
}

/** What everything that shows figures reads: the page, the exporters, alerts, the command line. */
export interface Figures {
  /** The figures of this host alone, where the others are about several hosts. */
  readonly own?: Figures | undefined
  /** @param options.since such as `'1 hour'`, or milliseconds. Default: since the insight was made */
  report(options?: { readonly since?: string | number | undefined }): Report
  /** @param options.steps how many, up to those that the unit has. Default: 60 */
  series(options: {
    readonly unit: SeriesUnit
    readonly steps?: number | undefined
  }): readonly Series[]
}

/** What can be done to keys and sources, for the page and the command line. */
export interface Controls {
  /** Ends a block. Takes an address, or a source as a report shows it. Whether any shield blocked it. */
  pardon(ip: string): boolean
  /** Whether any shield blocks it now. */
  blockSource(ip: string, ms: number): boolean
  /** The limiters that can be asked about a key, by name. */
  limiters(): ReadonlyMap<string, Served>
}
