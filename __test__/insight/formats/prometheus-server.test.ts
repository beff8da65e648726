import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { prometheus } from '../../../ts/insight/formats/prometheus.ts'
import { register } from '../../../ts/insight/formats/register.ts'
import { grafanaBoard } from '../../../ts/insight/grafana.ts'
import type { Report, Times } from '../../../ts/insight/types.ts'
import { type LimitedService, startExample, startLimitedService } from './limited-service.ts'
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
/** Each shows the same made-up figures in another way. */
const WAYS = ['/text', '/negotiated', '/plain-as-openmetrics', '/prom-client']
/** What services show that are really limited: one with everything, and the example. */
const SERVICES = new Map<string, LimitedService>()
const PATHS = [...WAYS, '/limited', '/example']

beforeAll(async () => {
  let scrape = 0
  const figures = { report: () => growing(++scrape) }
  const registry = new Registry()
  register(figures, registry)
  SERVICES.set('/limited', await startLimitedService()).set('/example', await startExample())
  service = createServer(async (request, response) => {
    const limited = SERVICES.get(request.url ?? '')
    await limited?.ask()
    const asksForOpen = request.headers.accept?.includes('application/openmetrics-text') === true
    const format = request.url === '/negotiated' && asksForOpen ? 'openmetrics' : 'text'
    asked.add(`${request.url} ${format}`)
    const isOpen = request.url === '/plain-as-openmetrics' || format === 'openmetrics'
    response.setHeader('content-type', isOpen ? OPENMETRICS : TEXT)
    if (limited !== undefined) response.end(limited.view.prometheus())
    else if (request.url === '/prom-client') response.end(await registry.metrics())
    else response.end(prometheus(figures.report(), { format }))
  }).listen(0, '127.0.0.1')
  await once(service, 'listening')
  server = await PrometheusServer.start((service.address() as AddressInfo).port, PATHS)
  await until(async () => {
    const { data } = await server.query(
      'min by (limit) (count_over_time(ratethrottle_live_keys{limit=~"api|global|GET /api/public"}[1m])) > 3',
    )
    return data?.result.length === 3
  })
})

afterAll(async () => {
  await server.stop()
  service?.close().closeAllConnections()
  for (const limited of SERVICES.values()) await limited.close()
})

it('Prometheus scrapes both formats, and prom-client', async () => {
  const targets = await server.targets()
  expect(targets.map(({ labels, health, lastError }) => [labels.job, health, lastError])).toEqual(
    PATHS.map((path) => [path.slice(1), 'up', '']).sort(),
  )
  expect([...asked]).toContain('/negotiated openmetrics')
})

it('every job has the same series, hostile names included', async () => {
  const { data } = await server.query(
    'count by (job) ({__name__=~"ratethrottle_.+",job!~"limited|example"})',
  )
  const counts = data?.result.map(({ value }) => value[1])
  expect(counts).toHaveLength(WAYS.length)
  expect(new Set(counts).size).toBe(1)
  for (const name of ['GET /users/:id', 'a\\"b\\nc', 'line\nbreak', '\u202eevil\u202c']) {
    const found = await server.query(`ratethrottle_live_keys{limit=${JSON.stringify(name)}}`)
    expect(found.data?.result, name).toHaveLength(WAYS.length)
  }
})

const QUERIES = grafanaBoard().panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => [title, expr] as const),
)

/** What the query of a panel finds. */
async function found(expr: string, job: string) {
  const filled = expr
    .replaceAll('$__rate_interval', '10s')
    .replaceAll('$job', job)
    .replaceAll('$limit', '.*')
  expect(filled).not.toContain('$')
  const { status, error, data } = await server.query(filled)
  expect([status, error]).toEqual(['success', undefined])
  return data?.result ?? []
}

it.each(QUERIES)('the board gets data: %s, %s', async (_, expr) => {
  expect((await found(expr, 'text')).length).toBeGreaterThan(0)
})

it.each(QUERIES)('the board gets data of a limited service: %s, %s', async (_, expr) => {
  // This service has no store.
  const isThere = !expr.includes('ratethrottle_store_available')
  expect((await found(expr, 'limited')).length > 0).toBe(isThere)
})

it('promtool accepts what the services show', () => {
  for (const { view } of SERVICES.values()) expect(promtoolSays(view.prometheus())).toBe('')
})

it.each([
  'Admitted and denied',
  'Share denied',
  'Which limit binds',
  'Top routes',
  'Top denied routes',
  'Live keys',
])('the board shows the example: %s', async (title) => {
  const panel = grafanaBoard().panels.find((one) => one.title === title)
  for (const { expr } of panel?.targets ?? []) {
    const names = (await found(expr, 'example')).map(({ metric }) => metric.limit ?? metric.route)
    expect(names).toContain('POST /api/report')
  }
})

it('the board shows of it what is so', async () => {
  const panel = (title: string, place = 0) => {
    const expr = grafanaBoard().panels.find((one) => one.title === title)?.targets[place]?.expr
    return found(expr ?? '', 'limited')
  }
  const [top] = (await panel('Top denied routes')).filter(({ value }) => Number(value[1]) > 0)
  expect(['GET /users/:id', '404']).toContain(top?.metric.route)
  const binding = await panel('Which limit binds')
  const [most] = binding.filter(
    ({ metric }) => metric.limit === 'mail' && metric.policy === '6/minute',
  )
  expect(Number(most?.value[1])).toBeGreaterThan(1)
  const [median] = await panel('Decision time')
  expect(Number(median?.value[1])).toBeLessThan(0.01)
  const shares = await panel('Share denied')
  expect(shares.map(({ metric }) => metric.limit).sort()).toEqual(
    expect.arrayContaining(['global', 'mail']),
  )
})

it('its variables find jobs and limits', async () => {
  const { data } = await server.query(
    'count by (job, limit) (ratethrottle_requests_total{job=~".*"})',
  )
  const found = data?.result.map(({ metric }) => `${metric.job} ${metric.limit}`)
  expect(found).toContain('negotiated api')
})
