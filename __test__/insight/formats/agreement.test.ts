import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { Counter, Registry } from 'prom-client'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { expect, it, onTestFinished } from 'vitest'
import { randomFor } from '../../fixtures/random.ts'
import { readCsv } from './csv-reader.ts'
import { startLimitedService } from './limited-service.ts'
import { readMetrics } from './metrics-reader.ts'

// An insight, real limiters and the real libraries: every format says what the limiters have answered.

type Counts = Readonly<Record<string, number>>
const FORMATS = ['text', 'openmetrics'] as const

it('every format has the counts of an independent log', async () => {
  const random = randomFor('agreement')
  const view = insight({ keys: 'mask' })
  const limiters = ['api', 'mail', '=1+1', 'a"b\\c'].map((name) => ({
    name,
    limiter: new RateLimiter(['5/second', '40/hour'], { name, insight: view }),
  }))
  onTestFinished(() => {
    for (const { limiter } of limiters) limiter.close()
    view.close()
  })
  const registry = new Registry()
  view.register(registry)
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  view.openTelemetry(provider.getMeter('test'))

  const log = new Map<string, number>()
  for (let i = 0; i < 5000; i++) {
    const { name, limiter } = random.pick(limiters)
    const outcome = limiter.allow(`198.51.100.${random.integer(1, 50)}`) ? 'admitted' : 'denied'
    log.set(`${name} ${outcome}`, (log.get(`${name} ${outcome}`) ?? 0) + 1)
  }
  const expected: Counts = Object.fromEntries([...log].sort())

  const { limits } = JSON.parse(JSON.stringify(view)) as {
    limits: { name: string; admitted: number; denied: number }[]
  }
  expect(
    sorted(
      limits.flatMap(({ name, admitted, denied }) => [
        [`${name} admitted`, admitted],
        [`${name} denied`, denied],
      ]),
    ),
  ).toEqual(expected)

  const rows = readCsv(view.toCSV()).filter(
    ([part, , , , , figure]) => part === 'limit' && /^(admitted|denied)$/.test(figure ?? ''),
  )
  // A limit whose name is a formula has an apostrophe before it.
  expect(
    sorted(
      rows.map(([, limit, , , , figure, value]) => [
        `${limit?.replace(/^'/, '')} ${figure}`,
        Number(value),
      ]),
    ),
  ).toEqual(expected)

  for (const format of FORMATS)
    expect(countsOf(view.prometheus({ format }), format)).toEqual(expected)
  const scraped = (await registry.metrics()).replaceAll('\n\n', '\n')
  expect(countsOf(`${scraped}# EOF\n`, 'text')).toEqual(expected)

  await reader.forceFlush()
  const [metric] = exporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
  const points = metric?.dataPoints ?? []
  expect(
    sorted(
      points.flatMap(({ attributes, value }) => {
        const result = { acquired: 'admitted', limit: 'denied' }[
          String(attributes['ratethrottle.result'])
        ]
        return result === undefined
          ? []
          : [[`${attributes['ratethrottle.policy']} ${result}`, Number(value)]]
      }),
    ),
  ).toEqual(expected)
})

function sorted(counts: readonly (readonly [string, number])[]): Counts {
  return Object.fromEntries([...counts].sort(([one], [other]) => (one < other ? -1 : 1)))
}

function countsOf(text: string, format: 'text' | 'openmetrics'): Counts {
  const family = readMetrics(text, format).find(({ name }) =>
    name.startsWith('ratethrottle_requests'),
  )
  const counts = (family?.samples ?? []).map(
    ({ labels, value }) => [`${labels.get('limit')} ${labels.get('outcome')}`, value] as const,
  )
  return sorted(counts.filter(([name]) => !name.endsWith(' dry')))
}

it('a service with an adapter, a shield and calls by hand has figures of each in the metrics', async () => {
  const service = await startLimitedService()
  onTestFinished(() => service.close())
  await service.ask()
  const families = readMetrics(service.view.prometheus(), 'text')
  const value = (metric: string, wanted: Readonly<Record<string, string>>) =>
    families
      .find(({ name }) => name === metric)
      ?.samples.find(({ labels }) =>
        Object.entries(wanted).every(([label, text]) => labels.get(label) === text),
      )?.value
  const requests = (limit: string, route: string, outcome: string) =>
    value('ratethrottle_requests_total', { limit, route, outcome })
  // Limits of a second may have begun again meanwhile: the sums are exact, the shares are not.
  const both = (limit: string, route: string, refused: string) =>
    Number(requests(limit, route, 'admitted')) + Number(requests(limit, route, refused))
  expect(both('global', 'GET /users/:id', 'denied')).toBe(15)
  expect(both('global', '404', 'denied')).toBe(15)
  expect(both('GET /search', 'GET /search', 'dry')).toBe(15)
  expect(both('mail', '', 'denied')).toBe(1000)
  expect(Number(requests('mail', '', 'admitted'))).toBeGreaterThanOrEqual(15)
  expect(value('ratethrottle_shield_requests_total', { outcome: 'admitted' })).toBe(45)
  expect(value('ratethrottle_config_stale', {})).toBe(0)
  expect(service.view.prometheus()).not.toMatch(/user:|127\.0\.0\.1|missing|users\/\d/)
})

it('callers that wait are seen while they wait, and afterwards as waits', async () => {
  const view = insight()
  const limiter = new RateLimiter('1/second', { name: 'calls', insight: view })
  const registry = new Registry()
  view.register(registry)
  const gone = new AbortController()
  onTestFinished(() => view.close())
  const value = async (line: string) =>
    Number(
      (await registry.metrics())
        .split('\n')
        .find((one) => one.startsWith(`${line} `))
        ?.split(' ')
        .at(-1),
    )
  const waiting = () => value('ratethrottle_waiting{limit="calls"}')

  limiter.check('user:1')
  expect(await waiting()).toBe(0)
  const first = limiter.wait('user:1')
  const second = limiter.wait('user:1', { signal: gone.signal }).catch(() => 'gone')
  const third = limiter.wait('user:1').catch(() => 'closed')
  expect(await waiting()).toBe(3)
  gone.abort()
  expect(await second).toBe('gone')
  expect(await waiting()).toBe(2)
  await first
  expect(await waiting()).toBe(1)
  limiter.close()
  expect(await third).toBe('closed')
  expect(await waiting()).toBe(0)
  expect(await value('ratethrottle_waits_total{limit="calls",outcome="admitted"}')).toBe(1)
  expect(await value('ratethrottle_waits_total{limit="calls",outcome="gave_up"}')).toBe(2)
  expect(await value('ratethrottle_wait_seconds_count')).toBe(1)
})

it('an insight that was closed is no reason for a scrape or a collection to fail', async () => {
  const view = insight()
  const registry = new Registry()
  new Counter({ name: 'mine', help: 'x', registers: [registry] }).inc()
  view.register(registry)
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  view.openTelemetry(provider.getMeter('test'))
  view.close()
  const text = await registry.metrics()
  expect(text).toContain('mine 1\n')
  expect(text).not.toContain('ratethrottle_decision_seconds_count')
  const { errors } = await reader.collect()
  expect(errors).toEqual([])
})
