// A stand-in for an insight: real limiters, and figures that are made up.
const counts = {
  admitted: 5,
  denied: 2,
  dry: 0,
  refunded: 0,
  waited: 0,
  gaveUp: 0,
  withoutStore: 0,
}

/** What `openControl` answers from. */
export function fakeView(limiters, blocked = new Set()) {
  const limits = [...limiters].map(([name, { limits }]) => ({
    name,
    limits: limits.map(({ count, windowMs }) => `${count}/${windowMs}ms`),
    deniedBy: limits.map(() => 0),
    algorithm: 'token-bucket',
    tier: 'memory',
    evictions: 0,
    liveKeys: 3,
    ...counts,
  }))
  const times = { count: 0, sumMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0, cells: [] }
  return {
    report: ({ since } = {}) => ({
      version: 1,
      at: Date.now(),
      sinceMs: since === undefined ? undefined : 60_000,
      processes: 1,
      totals: counts,
      limits,
      routes: [],
      top: { asked: [], denied: [] },
      times: { decision: times, store: times, wait: times },
      shields: [],
      stores: [],
      config: undefined,
    }),
    series: () => [],
    pardon: (ip) => blocked.delete(ip),
    blockSource: (ip) => blocked.add(ip).has(ip),
    limiters: () => limiters,
  }
}
