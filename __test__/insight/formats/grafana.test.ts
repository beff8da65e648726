import { expect, it } from 'vitest'
import { prometheus } from '../../../ts/insight/formats/prometheus.ts'
import { grafanaBoard } from '../../../ts/insight/grafana.ts'
import { readMetrics } from './metrics-reader.ts'
import { reportOf } from './reports.ts'

/** Each metric with its labels, as a scrape has them; the scraper adds `job` and `instance`. */
function labelsByMetric(): ReadonlyMap<string, ReadonlySet<string>> {
  const known = new Map<string, Set<string>>()
  for (const { samples } of readMetrics(prometheus(reportOf(['api'])), 'text')) {
    for (const { name, labels } of samples) {
      known.set(name, new Set([...labels.keys(), 'job', 'instance']))
    }
  }
  return known
}

/** The metrics and labels of a query that a scrape does not have. */
function unknownIn(expr: string, known: ReturnType<typeof labelsByMetric>): readonly string[] {
  const metrics = [...expr.matchAll(/(ratethrottle_\w+)(?:\{([^}]*)\})?/g)]
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) =>
    names.split(/, */),
  )
  return metrics.flatMap(([, metric = '', selector = '']) => {
    const labels = known.get(metric)
    if (labels === undefined) return [metric]
    const selected = [...selector.matchAll(/(\w+)(?==|!)/g)].map(([name]) => name)
    return [...selected, ...grouped]
      .filter((label) => !labels.has(label))
      .map((label) => `${metric}.${label}`)
  })
}

it('asks for metrics and labels that there are, and for no others', () => {
  const known = labelsByMetric()
  const board = grafanaBoard()
  const queries = board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  expect(queries.length).toBeGreaterThan(20)
  expect(queries.flatMap((expr) => unknownIn(expr, known))).toEqual([])
  // Each query selects the jobs of the board, and that is how a reader sees that labels are checked at all.
  expect(queries.filter((expr) => !expr.includes('job=~"$job"'))).toEqual([])
  expect(unknownIn('sum by (colour) (ratethrottle_live_keys{shape="x"})', known)).toHaveLength(2)
  expect(unknownIn('rate(ratethrottle_unknown_total[1m])', known)).toHaveLength(1)
})

it('shows every metric but those of one reason', () => {
  const text = JSON.stringify(grafanaBoard().panels)
  const missing = [...labelsByMetric().keys()].filter(
    (name) => !/_(sum|count)$/.test(name) && !text.includes(name),
  )
  expect(missing).toEqual([
    'ratethrottle_refunds_total',
    'ratethrottle_without_store_total',
    'ratethrottle_shield_newcomer_ratio',
    'ratethrottle_shield_evictions_total',
  ])
})

it('uses the variables that it defines, and puts no two panels in one place', () => {
  const board = grafanaBoard({ title: 'Limits', uid: 'limits' })
  expect(board).toMatchObject({ title: 'Limits', uid: 'limits', schemaVersion: 39 })
  const text = JSON.stringify(board)
  const { list } = (board as unknown as { templating: { list: { name: string }[] } }).templating
  const used = new Set([...text.matchAll(/\$(\w+)/g)].map(([, name]) => name))
  expect([...used].sort()).toEqual(
    ['__all', '__rate_interval', ...list.map(({ name }) => name)].sort(),
  )
  const places = board.panels.map(({ gridPos }) => JSON.stringify(gridPos))
  expect(new Set(places).size).toBe(places.length)
  const ids = board.panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

it('refuses what is no option', () => {
  expect(() => grafanaBoard({ name: 'x' } as never)).toThrow('unknown option')
  expect(() => grafanaBoard({ uid: 'x'.repeat(41) })).toThrow('uid must be a string of 1 to 40')
})
