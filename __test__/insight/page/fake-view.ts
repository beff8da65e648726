import type {
  Controls,
  Figures,
  LimitCounts,
  Report,
  Series,
  SeriesPoint,
} from '../../../ts/insight/types.ts'

const STEPS = { second: 1_000, minute: 60_000, hour: 3_600_000 } as const
const NO_TIMES = { count: 0, sumMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0, cells: [] }
export const NO_COUNTS: LimitCounts = {
  admitted: 0,
  denied: 0,
  dry: 0,
  refunded: 0,
  waited: 0,
  gaveUp: 0,
  withoutStore: 0,
}

/** Names and keys that try to be more than text. */
export const HOSTILE = {
  markup: '<img src=x onerror="window.stolen=1">',
  script: '</script><script>window.stolen=2</script>',
  rightToLeft: '\u202eevil\u2066admin',
  emoji: '👩‍👩‍👧‍👦'.repeat(5).slice(0, 64),
  hidden: 'user\u200b:\u200d42',
  long: 'k'.repeat(64),
} as const

/** A report in which nothing has happened. */
export function emptyReport(): Report {
  return {
    version: 1,
    at: Date.now(),
    sinceMs: undefined,
    processes: 1,
    totals: NO_COUNTS,
    limits: [],
    routes: [],
    top: { asked: [], denied: [] },
    times: { decision: NO_TIMES, store: NO_TIMES, wait: NO_TIMES },
    waitingNow: 0,
    shields: [],
    stores: [],
    config: undefined,
  } as Report
}

/** A report of a service that is attacked, with every part filled. */
export function busyReport(): Report {
  const times = { ...NO_TIMES, count: 4_100, p50Ms: 0.000_12, p95Ms: 0.000_31, p99Ms: 0.0011 }
  const names = Object.values(HOSTILE)
  const top = names.map((key, i) => ({ key, limit: 'api', count: 9_000 - i * 700, error: i * 20 }))
  const route = { dry: 0, exempt: 3, refused: 0, failed: 0, shield: 12, waited: 0 }
  return {
    ...emptyReport(),
    processes: 4,
    totals: { ...NO_COUNTS, admitted: 182_340, denied: 20_455, withoutStore: 12, waited: 41 },
    limits: [
      {
        ...NO_COUNTS,
        name: 'api',
        admitted: 150_000,
        denied: 20_300,
        limits: ['100/minute', '1000/hour'],
        deniedBy: [19_000, 1_300],
        algorithm: 'token-bucket',
        tier: 'memory',
        evictions: 3,
        liveKeys: 1_204,
      },
      {
        ...NO_COUNTS,
        name: 'login',
        admitted: 32_340,
        denied: 155,
        dry: 7,
        limits: ['10/minute'],
        deniedBy: [155],
        algorithm: 'sliding-log',
        tier: 'redis',
        evictions: undefined,
        liveKeys: undefined,
      },
      {
        ...NO_COUNTS,
        name: HOSTILE.markup,
        limits: [],
        deniedBy: [],
        algorithm: undefined,
        tier: undefined,
        evictions: undefined,
        liveKeys: undefined,
      },
    ],
    routes: [
      { ...route, limit: 'api', route: 'GET /search', admitted: 120_000, denied: 20_000 },
      { ...route, limit: 'api', route: 'GET /users/:id', admitted: 30_000, denied: 300 },
      { ...route, limit: HOSTILE.markup, route: HOSTILE.script, admitted: 1, denied: 0 },
    ],
    top: { asked: top, denied: top.slice().reverse() },
    times: { decision: times, store: { ...times, p50Ms: 0.4, p95Ms: 1.2, p99Ms: 48 }, wait: times },
    shields: [
      {
        name: 'default',
        mode: 'enforce',
        pressure: true,
        alarm: false,
        admitted: 90_000,
        refused: 31_000,
        wouldRefuse: 0,
        newcomerShare: 0.22,
        blocked: 2,
        evictions: 0,
        top: [
          source('198.51.100.7', 61, 1, 0),
          source('203.0.113.9', 5_210, 4, 540_000),
          source('2001:db8:1:2::/64', 830, 4, 61_000),
        ],
      },
    ],
    stores: [
      { limit: 'login', available: false, reason: 'connection refused' },
      { limit: 'plans', available: true, reason: undefined },
    ],
    config: { stale: true, loadedAt: Date.now() - 60_000 },
  } as unknown as Report
}

function source(name: string, requestsPerMinute: number, level: number, blockedMs: number): object {
  return { source: name, requestsPerMinute, level, isRegular: level === 1, blockedMs }
}

/** A view with the figures that a test gives it. It records what is done to it. */
export class FakeView {
  figures: Report = emptyReport()
  /** What happened in the last step of a limit, whatever the unit. */
  now: { admitted: number; denied: number } = { admitted: 0, denied: 0 }
  reports = 0
  readonly calls: string[] = []

  report(): Report {
    this.reports++
    return { ...this.figures, at: Date.now() }
  }

  series({ unit, steps = 60 }: Parameters<Figures['series']>[0]): Series[] {
    const step = STEPS[unit]
    const end = Math.floor(Date.now() / step) * step
    return this.figures.limits.map(({ name, admitted, denied }, limit) => {
      const points = Array.from({ length: steps }, (_, i): SeriesPoint => {
        const at = end - (steps - 1 - i) * step
        const none = { at, dry: 0, waited: 0 }
        if (i === steps - 1) return { ...none, ...this.now }
        // A day with its waves, and an attack near its end.
        const wave = 1 + Math.sin(at / step / 40 + limit)
        const isAttack = i > steps - 90 && i < steps - 30
        const some = admitted > 0 ? 1 : 0
        const lost = denied > 0 ? 1 : 0
        return {
          ...none,
          admitted: some * Math.round(40 * wave + (i % 7)),
          denied: lost * Math.round((isAttack ? 90 : 4) * wave * (limit === 0 ? 1 : 0.1)),
        }
      })
      return { limit: name, unit, points }
    })
  }

  pardon(ip: string): boolean {
    this.calls.push(`pardon ${ip}`)
    if (ip === 'nonsense')
      throw new TypeError('ip must be an address, got "nonsense" at /srv/secret')
    return ip === '203.0.113.9' || ip === '2001:db8:1:2::'
  }

  blockSource(ip: string, ms: number): boolean {
    this.calls.push(`block ${ip} ${ms}`)
    return true
  }

  limiters(): ReturnType<Controls['limiters']> {
    return new Map()
  }
}
