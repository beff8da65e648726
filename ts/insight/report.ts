import type { Clock } from '../clock.ts'
import { type ConfigStatus, ROUTE_OUTCOMES, type RouteOutcome, type Served } from '../counting.ts'
import { limitInWords } from '../limit/limit.ts'
import type { NativeInsight } from '../native/binding.ts'
import { COUNTS } from './formats/properties.ts'
import {
  CELLS,
  DENIED,
  FIELD,
  FIELDS,
  limitStart,
  routeCount,
  TIMES,
  timesStart,
  upperBound,
} from './layout.ts'
import type { Rows } from './rows.ts'
import { countedSince, linesOf, readNames, type Sums } from './series.ts'
import type {
  LimitCounts,
  LimitReport,
  Report,
  RouteCounts,
  RouteReport,
  ShieldReport,
  StoreReport,
  Times,
  TopKey,
} from './types.ts'

/** What a report is made from. */
export interface Sources {
  readonly native: NativeInsight
  readonly clock: Clock | undefined
  readonly sinceMs: number | undefined
  readonly rows: Rows
  readonly shields: readonly ShieldReport[]
  readonly config: ConfigStatus | undefined
}

export function makeReport(sources: Sources): Report {
  const { native, clock, sinceMs, rows, shields, config } = sources
  native.read()
  const sums = Float64Array.from(native.sums)
  const names = readNames(native, 0)
  const limits = [...names].map(([row, name]) => limitReport(sources, sums, row, name))
  native.state()
  const [processes = 1] = native.wide
  return {
    version: 1,
    at: clock?.now() ?? Date.now(),
    sinceMs,
    processes,
    totals: totalsOf(limits),
    limits,
    routes: routeReports(native, sums),
    top: { asked: topKeys(native, 0, names), denied: topKeys(native, 1, names) },
    times: {
      decision: timesOf(sums, TIMES.decision),
      store: timesOf(sums, TIMES.store),
      wait: timesOf(sums, TIMES.wait),
    },
    shields,
    stores: storeReports(rows),
    config,
  }
}

function limitReport(
  { native, clock, sinceMs, rows }: Sources,
  sums: Float64Array,
  row: number,
  name: string,
): LimitReport {
  const counts = sums.subarray(limitStart(row), limitStart(row) + FIELDS)
  const of = (field: number): number => counts[field] ?? 0
  const all = Array.from(counts.subarray(DENIED))
  const last = all.findLastIndex((count) => count > 0)
  const limit = rows.get(name)
  const counter = limit?.newest?.open ?? limit?.newest
  const about = counter?.about
  const limits = about?.limits?.map(limitInWords) ?? []
  const counted: Sums =
    sinceMs === undefined
      ? {
          admitted: of(FIELD.admitted),
          denied: all.reduce((sum, count) => sum + count, 0),
          dry: of(FIELD.dry),
          waited: of(FIELD.waited),
        }
      : countedSince(native, row, sinceMs, clock)
  return {
    name,
    ...counted,
    refunded: of(FIELD.refunded),
    gaveUp: of(FIELD.gaveUp),
    withoutStore: of(FIELD.withoutStore),
    limits,
    deniedBy: all.slice(0, Math.max(limits.length, last + 1)),
    algorithm: about?.algorithm,
    tier: about?.tier,
    ...tableOf(counter?.limiter),
    waiting: limit?.waiting,
  }
}

/** What a limiter of this process says about its table. One that is closed says nothing. */
function tableOf(limiter: Served | undefined): Pick<LimitReport, 'evictions' | 'liveKeys'> {
  try {
    const { evictions } = (limiter?.stats?.() ?? {}) as { readonly evictions?: number }
    return { evictions, liveKeys: limiter?.liveKeys?.() }
  } catch {
    return { evictions: undefined, liveKeys: undefined }
  }
}

function totalsOf(limits: readonly LimitReport[]): LimitCounts {
  const of = (field: keyof LimitCounts): number => limits.reduce((sum, one) => sum + one[field], 0)
  return Object.fromEntries(COUNTS.map((field) => [field, of(field)])) as unknown as LimitCounts
}

function routeReports(native: NativeInsight, sums: Float64Array): RouteReport[] {
  return [...readNames(native, 1)].map(([row, name]) => {
    const of = (outcome: RouteOutcome): number => sums[routeCount(row, outcome)] ?? 0
    const counts = ROUTE_OUTCOMES.map((outcome) => [outcome, of(outcome)])
    const [limit = name, route = ''] = name.includes('\t') ? name.split('\t') : [name, name]
    return { limit, route, ...(Object.fromEntries(counts) as RouteCounts) }
  })
}

function topKeys(
  native: NativeInsight,
  table: 0 | 1,
  names: ReadonlyMap<number, string>,
): TopKey[] {
  const keys = linesOf(native.top('', table)).map((line): TopKey => {
    const [row = '', count = '', error = ''] = line.split(' ', 3)
    const key = line.slice(row.length + count.length + error.length + 3)
    return {
      key,
      limit: names.get(Number(row)) ?? 'other',
      count: Number(count),
      error: Number(error),
    }
  })
  // A key without a name came once, into a table that was full: its count is all error.
  return keys.filter(({ key }) => key !== '')
}

function timesOf(sums: Float64Array, times: number): Times {
  const counts = Array.from(sums.subarray(timesStart(times), timesStart(times) + CELLS))
  const count = counts.reduce((sum, one) => sum + one, 0)
  const last = counts.findLastIndex((one) => one > 0)
  const middle = (cell: number): number =>
    cell === 0 ? upperBound(0) / 2 : (upperBound(cell - 1) + Math.min(upperBound(cell), 1e6)) / 2
  const sumMs = counts.reduce((sum, one, cell) => sum + (one === 0 ? 0 : one * middle(cell)), 0)
  let below = 0
  const cells = counts.slice(0, last + 1).map((one, cell) => {
    below += one
    return { belowMs: upperBound(cell), count: below }
  })
  const quantile = (share: number): number =>
    middle(cells.findIndex((cell) => cell.count >= share * count))
  const of = (share: number): number => (count === 0 ? 0 : quantile(share))
  return { count, sumMs, p50Ms: of(0.5), p95Ms: of(0.95), p99Ms: of(0.99), cells }
}

function storeReports(rows: Rows): StoreReport[] {
  const reports: StoreReport[] = []
  for (const [limit, { newest }] of rows) {
    const status = newest?.limiter?.storeStatus?.()
    if (status !== undefined) reports.push({ limit, ...status })
  }
  return reports
}
