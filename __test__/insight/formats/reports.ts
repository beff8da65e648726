import { ROUTE_OUTCOMES } from '../../../ts/counting.ts'
import type {
  LimitCounts,
  LimitReport,
  Report,
  RouteReport,
  Series,
  ShieldReport,
  Times,
} from '../../../ts/insight/types.ts'

/** When the reports of the tests were made. */
export const AT: number = Date.UTC(2026, 10, 30, 12, 34, 56)

/** Names and keys that break what does not escape. The first of them are ordinary. */
export const HOSTILE: readonly string[] = [
  'api',
  'GET /users/:id',
  '2001:db8::/48',
  '=cmd|"/c calc"!A1',
  '+1+1',
  '-2+3',
  '@SUM(1+1)',
  '\t=1+1',
  '\r=1+1',
  '\n=1+1',
  '  =1+1',
  '"=1+1',
  ' "\'=1+1',
  '\u00a0=1+1',
  '\ufeff=1+1',
  '\u200b@x',
  '\uff1d1+1',
  "'=1+1",
  "''",
  "'plain",
  'a;=1+1',
  'a\t@x',
  'a,b\n-1',
  'a|+1',
  'a,"b",c',
  '""',
  '"',
  '\r\n',
  '\t',
  '',
  ' ',
  '<img src=x onerror=alert(1)>',
  '</style></title><script>alert(1)</script>',
  '" onload="alert(1)',
  "' onload='alert(1)",
  '<!-- -->',
  ']]>',
  '&lt;b&gt;&amp;',
  '\u202eevil\u202c',
  '\u2066isolated\u2069',
  '👩‍👩‍👧‍👦'.repeat(8),
  'a\\"b\\nc',
  'back\\slash',
  'line\nbreak',
  '\u0000nul\u001bescape',
  '\ud800',
  '{limit="x"} 1\n# EOF\n',
  '__proto__',
  'constructor',
  'other',
]

/** A distribution whose cells end at these bounds, with as many times in each. */
export function times(cells: readonly (readonly [belowMs: number, count: number])[] = []): Times {
  let sum = 0
  const summed = cells.map(([belowMs, count]) => {
    sum += count
    return { belowMs, count: sum }
  })
  const sumMs = cells.reduce((ms, [belowMs, count]) => ms + (belowMs * count) / 2, 0)
  return { count: sum, sumMs, p50Ms: 0.002, p95Ms: 0.004, p99Ms: 1.5, cells: summed }
}

/** Figures that are all different. */
const COUNTS: LimitCounts = {
  admitted: 100,
  denied: 12,
  dry: 3,
  refunded: 4,
  waited: 5,
  gaveUp: 6,
  withoutStore: 8,
}

/** A limit with figures that are all different. */
export function limit(name: string, more: Partial<LimitReport> = {}): LimitReport {
  return {
    name,
    limits: ['10/second', '100/minute'],
    deniedBy: [7, 5],
    algorithm: 'token-bucket',
    tier: 'memory',
    ...COUNTS,
    evictions: 9,
    liveKeys: 10,
    waiting: 2,
    ...more,
  }
}

/** A route with figures that are all different: 1, 2, 3 … in the order of the outcomes. */
export function route(
  ofLimit: string,
  pattern: string,
  more: Partial<RouteReport> = {},
): RouteReport {
  const counts = Object.fromEntries(ROUTE_OUTCOMES.map((outcome, place) => [outcome, place + 1]))
  return { limit: ofLimit, route: pattern, ...counts, ...more } as RouteReport
}

/** A shield under pressure. */
export function shield(name: string, more: Partial<ShieldReport> = {}): ShieldReport {
  return {
    name,
    mode: 'enforce',
    pressure: true,
    alarm: false,
    admitted: 50,
    refused: 5,
    wouldRefuse: 0,
    newcomerShare: 0.25,
    blocked: 3,
    evictions: 1,
    top: [
      {
        source: '203.0.113.xxx',
        requestsPerMinute: 90,
        level: 4,
        isRegular: true,
        blockedMs: 60_000,
      },
    ],
    ...more,
  }
}

/** A report without anything in it, but for what is given. */
export function report(more: Partial<Report> = {}): Report {
  return {
    version: 1,
    at: AT,
    sinceMs: undefined,
    processes: 1,
    totals: {
      admitted: 0,
      denied: 0,
      dry: 0,
      refunded: 0,
      waited: 0,
      gaveUp: 0,
      withoutStore: 0,
    },
    limits: [],
    routes: [],
    top: { asked: [], denied: [] },
    times: { decision: times(), store: times(), wait: times() },
    shields: [],
    stores: [],
    config: undefined,
    ...more,
  }
}

/** A report with something of everything under each of the names. */
export function reportOf(names: readonly string[]): Report {
  return report({
    totals: COUNTS,
    limits: names.map((name) => limit(name, { limits: [name, `${name}2`] })),
    routes: names.map((name) => route(name, name)),
    top: {
      asked: names.map((key) => ({ key, limit: key, count: 20, error: 1 })),
      denied: names.map((key) => ({ key, limit: key, count: 10, error: 2 })),
    },
    times: {
      decision: times([
        [0.001, 5],
        [0.002, 90],
        [0.1, 5],
      ]),
      store: times([
        [1, 10],
        [2, 10],
      ]),
      wait: times([
        [100, 4],
        [1000, 2],
      ]),
    },
    shields: names.map((name) => shield(name)),
    stores: names.map((name) => ({ limit: name, available: false, reason: name })),
    config: { stale: true, loadedAt: AT - 60_000 },
  })
}

/** An hour of a limit, with a quiet minute in it. */
export function series(name: string): Series {
  const points = Array.from({ length: 60 }, (_, minute) => ({
    at: AT - (60 - minute) * 60_000,
    admitted: minute === 30 ? 0 : 50 + 40 * Math.round(Math.sin(minute / 5)),
    denied: minute > 40 ? minute - 40 : 0,
    dry: 0,
    waited: 0,
  }))
  return { limit: name, unit: 'minute', points }
}
