import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { prometheus } from '../../../ts/insight/formats/prometheus.ts'
import { register } from '../../../ts/insight/formats/register.ts'
import { grafanaBoard } from '../../../ts/insight/grafana.ts'
import type { Report, Times } from '../../../ts/insight/types.ts'
import { PrometheusServer, promtoolSays, until } from './prometheus-program.ts'
import { HOSTILE, limit, report, reportOf, times } from './reports.ts'

/*
 * With the programs of Debian's package prometheus: npm run prove:prometheus. The other tests of this folder prove
 * the same with readers of their own, in seconds.
 */

it.each([
  ['nothing', report()],
  ['a few limits', reportOf(['api', 'mail'])],
  ['hostile names', reportOf(HOSTILE)],
  ['a thousand limits', report({ limits: Array.from({ length: 1000 }, (_, i) => limit(`${i}`)) })],
])('promtool accepts a report of %s', (_, given) => {
  expect(promtoolSays(prometheus(given))).toBe('')
})

it('promtool refuses what is wrong', () => {
  const text = prometheus(reportOf(['api']))
  expect(promtoolSays(text.replaceAll('_total', ''))).not.toBe('')
  expect(promtoolSays(text.replace('"api"', '"a"pi"'))).not.toBe('')
})

/** A report whose every counter grows with each scrape. */
function growing(scrape: number): Report {
  const grown = <T extends object>(counts: T): T =>
    Object.fromEntries(
      Object.entries(counts).map(([name, value]) => [
        name,
        typeof value === 'number' ? value * scrape : value,
      ]),
    ) as T
  const base = reportOf(['api', ...HOSTILE])
  const more = (of: Times): Times => ({
    ...grown(of),
    cells: of.cells.map(({ belowMs, count }) => ({ belowMs, count: count * scrape })),
  })
  const { decision, store, wait } = base.times
  return {
    ...base,
    limits: base.limits.map((one) => ({ ...grown(one), deniedBy: [7 * scrape, 5 * scrape] })),
    routes: base.routes.map(grown),
    shields: base.shields.map(grown),
    times: { decision: more(decision), store: more(store), wait: more(wait ?? times()) },
  }
}

let server: PrometheusServer
let service: Server | undefined
const asked = new Set<string>()
const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
const PATHS = ['/text', '/negotiated', '/plain-as-openmetrics', '/prom-client']

beforeAll(async () => {
  let scrape = 0
  const figures = { report: () => growing(++scrape) }
  const registry = new Registry()
  register(figures, registry)
  service = createServer(async (request, response) => {
    const asksForOpen = request.headers.accept?.includes('application/openmetrics-text') === true
    const format = request.url === '/negotiated' && asksForOpen ? 'openmetrics' : 'text'
    asked.add(`${request.url} ${format}`)
    const isOpen = request.url === '/plain-as-openmetrics' || format === 'openmetrics'
    response.setHeader('content-type', isOpen ? OPENMETRICS : TEXT)
    response.end(
      request.url === '/prom-client'
        ? await registry.metrics()
        : prometheus(figures.report(), { format }),
    )
  }).listen(0, '127.0.0.1')
  await once(service, 'listening')
  server = await PrometheusServer.start((service.address() as AddressInfo).port, PATHS)
  await until(async () => {
    const { data } = await server.query(
      'count_over_time(ratethrottle_live_keys{limit="api",job="prom-client"}[1m]) > 3',
    )
    return (data?.result.length ?? 0) > 0
  })
})

afterAll(async () => {
  await server.stop()
  service?.close().closeAllConnections()
})

it('Prometheus scrapes both formats, and prom-client', async () => {
  const targets = await server.targets()
  expect(targets.map(({ labels, health, lastError }) => [labels.job, health, lastError])).toEqual(
    PATHS.map((path) => [path.slice(1), 'up', '']).sort(),
  )
  expect([...asked]).toContain('/negotiated openmetrics')
})

it('every job has the same series, hostile names included', async () => {
  const { data } = await server.query('count by (job) ({__name__=~"ratethrottle_.+"})')
  const counts = data?.result.map(({ value }) => value[1])
  expect(counts).toHaveLength(PATHS.length)
  expect(new Set(counts).size).toBe(1)
  for (const name of ['GET /users/:id', 'a\\"b\\nc', 'line\nbreak', '\u202eevil\u202c']) {
    const found = await server.query(`ratethrottle_live_keys{limit=${JSON.stringify(name)}}`)
    expect(found.data?.result, name).toHaveLength(PATHS.length)
  }
})

const QUERIES = grafanaBoard().panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => [title, expr] as const),
)

it.each(QUERIES)('the board gets data: %s, %s', async (_, expr) => {
  const filled = expr
    .replaceAll('$__rate_interval', '10s')
    .replaceAll('$job', 'text')
    .replaceAll('$limit', '.*')
  expect(filled).not.toContain('$')
  const { status, error, data } = await server.query(filled)
  expect([status, error]).toEqual(['success', undefined])
  expect(data?.result.length).toBeGreaterThan(0)
})

it('its variables find jobs and limits', async () => {
  const { data } = await server.query(
    'count by (job, limit) (ratethrottle_requests_total{job=~".*"})',
  )
  const found = data?.result.map(({ metric }) => `${metric.job} ${metric.limit}`)
  expect(found).toContain('negotiated api')
})
