import { ROUTE_OUTCOMES } from '../../counting.ts'
import { COUNTS } from '../../insight/formats/properties.ts'
import type * as figures from '../../insight/types.ts'

/*
 * Several processes as one: sums of their counts. The processes must not share their figures, or each would be
 * counted several times.
 */

type Report = figures.Report

/** The sums of several reports of the same time. Shields and stores are listed one after the other. */
export function mergeReports(reports: readonly Report[]): Report {
  const [first, ...others] = reports
  if (first === undefined) throw new Error('there is no report')
  if (others.length === 0) return first
  const all = <T>(pick: (report: Report) => readonly T[]): T[] => reports.flatMap(pick)
  return {
    ...first,
    at: Math.max(...reports.map(({ at }) => at)),
    processes: reports.reduce((sum, { processes }) => sum + processes, 0),
    totals: sumOf(reports.map(({ totals }) => totals)),
    limits: grouped(
      all(({ limits }) => limits),
      ({ name }) => name,
    ).map(mergeLimits),
    routes: grouped(
      all(({ routes }) => routes),
      ({ limit, route }) => `${limit}\n${route}`,
    ).map(mergeRoutes),
    top: {
      asked: mergeTop(all(({ top }) => top.asked)),
      denied: mergeTop(all(({ top }) => top.denied)),
    },
    times: {
      decision: mergeTimes(reports.map(({ times }) => times.decision)),
      store: mergeTimes(reports.map(({ times }) => times.store)),
      wait: mergeTimes(reports.map(({ times }) => times.wait)),
    },
    shields: all(({ shields }) => shields),
    stores: all(({ stores }) => stores),
  }
}

/** The sums of the same series of several processes. */
export function mergeSeries(series: readonly figures.Series[]): figures.Series[] {
  return grouped(series, ({ limit }) => limit).map((same) => {
    const points = same.flatMap((each) => each.points)
    const sums = grouped(points, ({ at }) => `${at}`).map((at) => sum(at, POINT))
    return { ...(same[0] as figures.Series), points: sums.sort((a, b) => a.at - b.at) }
  })
}

const POINT: readonly (keyof figures.SeriesPoint)[] = ['admitted', 'denied', 'dry', 'waited']

/** The first of these, with the sums of its counts over all. */
function sum<T extends object>(all: readonly T[], names: readonly (keyof T)[]): T {
  const sums = names.map((name) => [
    name,
    all.reduce((total, each) => total + Number(each[name]), 0),
  ])
  return { ...all[0], ...Object.fromEntries(sums) } as T
}

function sumOf(counts: readonly figures.LimitCounts[]): figures.LimitCounts {
  return sum(counts, COUNTS)
}

function mergeLimits(same: readonly figures.LimitReport[]): figures.LimitReport {
  const [first] = same as readonly [figures.LimitReport]
  const known = same.filter(({ evictions }) => typeof evictions === 'number')
  const total = (name: 'evictions' | 'liveKeys'): number | undefined =>
    known.length === 0 ? undefined : known.reduce((all, each) => all + (each[name] ?? 0), 0)
  return {
    ...first,
    ...sumOf(same),
    deniedBy: first.deniedBy.map((_, i) =>
      same.reduce((all, { deniedBy }) => all + (deniedBy[i] ?? 0), 0),
    ),
    evictions: total('evictions'),
    liveKeys: total('liveKeys'),
  }
}

function mergeRoutes(same: readonly figures.RouteReport[]): figures.RouteReport {
  return sum(same, ROUTE_OUTCOMES)
}

/** The sums of keys that are shown alike. */
export function mergeTop(all: readonly figures.TopKey[]): figures.TopKey[] {
  const sums = grouped(all, ({ limit, key }) => `${limit}\n${key}`).map((same) =>
    sum(same, ['count', 'error']),
  )
  return sums.sort((a, b) => b.count - a.count)
}

function mergeTimes(all: readonly figures.Times[]): figures.Times {
  const bounds = new Set(all.flatMap(({ cells }) => cells.map(({ belowMs }) => belowMs)))
  const cells = [...bounds]
    .sort((a, b) => a - b)
    .map((belowMs) => ({ belowMs, count: all.reduce((n, times) => n + below(times, belowMs), 0) }))
  const count = all.reduce((n, times) => n + times.count, 0)
  const quantile = (share: number): number =>
    cells.find((cell) => cell.count >= share * count)?.belowMs ?? 0
  return {
    count,
    sumMs: all.reduce((ms, times) => ms + times.sumMs, 0),
    p50Ms: quantile(0.5),
    p95Ms: quantile(0.95),
    p99Ms: quantile(0.99),
    cells,
  }
}

/** How many lie below a bound: cells are sums, and end with the last that is not empty. */
function below({ cells }: figures.Times, bound: number): number {
  return cells.findLast(({ belowMs }) => belowMs <= bound)?.count ?? 0
}

function grouped<T>(all: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>()
  for (const one of all) {
    const key = keyOf(one)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [one])
    else group.push(one)
  }
  return [...groups.values()]
}
