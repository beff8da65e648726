import type { Figures, Report, RouteReport, Series, SeriesUnit, Times } from '../types.ts'
import type {
  LimitSeries,
  Range,
  RouteRow,
  ShieldCard,
  Snapshot,
  TimesRow,
} from './client/snapshot.ts'
import { LastMinute } from './last-minute.ts'

/** A step of each range, how many there are, and the report that belongs to it. */
const RANGES: Readonly<Record<Range, { unit: SeriesUnit; stepMs: number; steps: number }>> = {
  '10m': { unit: 'second', stepMs: 1_000, steps: 600 },
  '24h': { unit: 'minute', stepMs: 60_000, steps: 1_440 },
  '30d': { unit: 'hour', stepMs: 3_600_000, steps: 720 },
}
/** Steps that are sent again each second: a step may still grow, and a client may have missed one. */
const TAIL_STEPS = 5
/** Rows of each table, whatever the insight holds: what is sent each second has a bound. */
const MAX_KEYS = 20
const MAX_ROUTES = 40
const MAX_LIMITS = 65
const MAX_SOURCES = 50
const MAX_SHIELDS = 16
/** A snapshot serves all who ask within this time: what it costs does not grow with their number. */
const FRESH_MS = 500

/** The range that a client asks for; the shortest for anything unknown. */
export function readRange(text: string | null): Range {
  return text === '24h' || text === '30d' ? text : '10m'
}

/** The figures as JSON, made at most once in {@link FRESH_MS} for each range. */
export class Snapshots {
  readonly #view: Figures
  readonly #lastMinute = new LastMinute()
  readonly #made = new Map<string, { readonly at: number; readonly text: string }>()

  constructor(view: Figures) {
    this.#view = view
  }

  /** @param isWhole whether it holds all steps of the range, or the last few */
  text(range: Range, isWhole: boolean): string {
    const id = `${range} ${isWhole}`
    const known = this.#made.get(id)
    const now = performance.now()
    if (known !== undefined && now - known.at < FRESH_MS) return known.text
    const text = JSON.stringify(snapshotOf(this.#view, range, isWhole, this.#lastMinute))
    this.#made.set(id, { at: now, text })
    return text
  }
}

/** What the page shows of a view. */
export function snapshotOf(
  view: Figures,
  range: Range,
  isWhole: boolean,
  lastMinute: LastMinute,
): Snapshot {
  const { unit, stepMs, steps } = RANGES[range]
  const report = view.report({ since: stepMs * steps })
  const series = view.series({ unit, steps: isWhole ? steps : TAIL_STEPS })
  const { at, processes, totals, times } = report
  const { asked, denied } = lastMinute.rows(report.top, performance.now())
  return {
    at,
    range,
    processes,
    totals,
    limits: report.limits.slice(0, MAX_LIMITS),
    ...routesOf(report.routes),
    asked: asked.slice(0, MAX_KEYS),
    denied: denied.slice(0, MAX_KEYS),
    times: {
      decision: timesOf(times.decision),
      store: timesOf(times.store),
      wait: timesOf(times.wait),
    },
    shields: shieldsOf(report),
    stores: report.stores.slice(0, MAX_LIMITS),
    config: report.config,
    series: { isWhole, stepMs, steps, limits: series.slice(0, MAX_LIMITS).map(seriesOf) },
  }
}

/** The busiest routes, those with most denials first. */
function routesOf(routes: readonly RouteReport[]): Pick<Snapshot, 'routes' | 'moreRoutes'> {
  const rows = routes.map(
    ({ limit, route, admitted, denied, dry, exempt, refused, failed, shield }): RouteRow => {
      const other = dry + exempt + refused + failed + shield
      return { limit, route, admitted, denied, other }
    },
  )
  rows.sort((a, b) => b.denied - a.denied || b.admitted + b.other - a.admitted - a.other)
  return { routes: rows.slice(0, MAX_ROUTES), moreRoutes: Math.max(0, rows.length - MAX_ROUTES) }
}

function timesOf({ count, p50Ms, p95Ms, p99Ms }: Times): TimesRow {
  return { count, p50Ms, p95Ms, p99Ms }
}

/** Sources that are blocked come first: they are what an operator is asked about. */
function shieldsOf({ shields }: Report): ShieldCard[] {
  return shields.slice(0, MAX_SHIELDS).map((shield) => {
    const { name, mode, pressure, alarm, admitted, refused, wouldRefuse } = shield
    const { newcomerShare, blocked } = shield
    const sources = [...shield.top].sort(
      (a, b) => Number(b.blockedMs > 0) - Number(a.blockedMs > 0),
    )
    const top = sources.slice(0, MAX_SOURCES)
    const state = { pressure, alarm, admitted, refused, wouldRefuse, newcomerShare, blocked }
    return { name, mode, ...state, top }
  })
}

function seriesOf({ limit, points }: Series): LimitSeries {
  return {
    limit,
    from: points[0]?.at ?? 0,
    admitted: points.map((point) => point.admitted),
    denied: points.map((point) => point.denied),
  }
}
