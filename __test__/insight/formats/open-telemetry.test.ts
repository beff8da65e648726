import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { expect, it, onTestFinished } from 'vitest'
import { openTelemetry } from '../../../ts/insight/open-telemetry.ts'
import type { Report } from '../../../ts/insight/types.ts'
import { HOSTILE, limit, report, reportOf, route, times } from './reports.ts'

/** The real SDK, with what it exported last. */
function collector() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  return {
    meter: provider.getMeter('test'),
    async collected() {
      exporter.reset()
      await reader.forceFlush()
      return exporter
        .getMetrics()
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    },
  }
}

type Collected = Awaited<ReturnType<ReturnType<typeof collector>['collected']>>

/** The points of an instrument: the attributes, and the number. */
function pointsOf(metrics: Collected, name: string): Readonly<Record<string, unknown>> {
  const points = metrics.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? []
  return Object.fromEntries(
    points.map(({ attributes, value }) => [Object.values(attributes).join(' '), value]),
  )
}

/** The histogram of waits. */
function waitsIn(metrics: Collected): { unit: string; count: number; sum: number } {
  const found = metrics.find(({ descriptor }) => descriptor.name === 'ratethrottle.wait.duration')
  if (found?.dataPointType !== DataPointType.HISTOGRAM) throw new Error('no histogram')
  const [point] = found.dataPoints
  return {
    unit: found.descriptor.unit,
    count: point?.value.count ?? 0,
    sum: point?.value.sum ?? 0,
  }
}

it('mirrors the instruments of ASP.NET Core', async () => {
  const { meter, collected } = collector()
  const given = report({
    limits: [limit('api'), limit('mail', { gaveUp: 0, waiting: 7 })],
    routes: [route('api', 'GET /a'), route('api', 'GET /b')],
  })
  openTelemetry({ report: () => given }, meter)
  const metrics = await collected()
  expect(pointsOf(metrics, 'ratethrottle.requests')).toEqual({
    'api acquired': 103,
    'api limit': 12,
    'api shield': 14,
    'api store_error': 12,
    'api canceled': 6,
    'mail acquired': 103,
    'mail limit': 12,
    'mail canceled': 0,
  })
  expect(pointsOf(metrics, 'ratethrottle.queued_requests')).toEqual({ api: 2, mail: 7 })
  const [requests, queued] = metrics
  expect(requests?.descriptor.unit).toBe('{request}')
  expect(requests?.dataPointType).toBe(DataPointType.SUM)
  expect(requests).toHaveProperty('isMonotonic', true)
  expect(queued).toHaveProperty('isMonotonic', false)
  expect(requests?.dataPoints[0]?.attributes).toEqual({
    'ratethrottle.policy': 'api',
    'ratethrottle.result': 'acquired',
  })
})

it('records waits as a histogram in seconds, each once', async () => {
  const { meter, collected } = collector()
  let given = report()
  const withWaits = (cells: Parameters<typeof times>[0]): Report =>
    report({ times: { decision: times(), store: times(), wait: times(cells) } })
  given = withWaits([[100, 5]])
  openTelemetry({ report: () => given }, meter)
  given = withWaits([
    [100, 7],
    [200, 1],
    [Number.POSITIVE_INFINITY, 1],
  ])
  for (let collection = 0; collection < 2; collection++) {
    const wait = waitsIn(await collected())
    expect(wait.unit).toBe('s')
    expect(wait.count).toBe(4)
    expect(wait.sum).toBeCloseTo(2 * 0.05 + 0.15 + 0.2)
  }
})

it('records a million waits over several collections, none twice and none too few', async () => {
  const { meter, collected } = collector()
  let given = report()
  openTelemetry({ report: () => given }, meter)
  given = report({
    times: {
      decision: times(),
      store: times(),
      wait: times([
        [1, 400],
        [2, 1_000_000],
      ]),
    },
  })
  const counts: number[] = []
  for (let collection = 0; collection < 3; collection++) {
    const wait = waitsIn(await collected())
    counts.push(wait.count)
  }
  expect(counts).toEqual([10_000, 20_000, 30_000])
})

it('stops when it is told to', async () => {
  const { meter, collected } = collector()
  let reports = 0
  const take = () => {
    reports++
    return report({ limits: [limit('api')] })
  }
  const stop = openTelemetry({ report: take }, meter)
  await collected()
  const before = reports
  stop()
  await collected()
  expect(reports).toBe(before)
})

it('has at most 64 policies, hostile names among them, and adds up the rest', async () => {
  const { meter, collected } = collector()
  const many = Array.from({ length: 1000 }, (_, i) => limit(HOSTILE[i] ?? `limit ${i}`))
  const given: Report = { ...reportOf([]), limits: many }
  openTelemetry({ report: () => given }, meter)
  const points = pointsOf(await collected(), 'ratethrottle.queued_requests')
  expect(Object.keys(points).length).toBeLessThanOrEqual(65)
  expect(Object.values(points).reduce((sum: number, value) => sum + Number(value), 0)).toBe(2000)
})
