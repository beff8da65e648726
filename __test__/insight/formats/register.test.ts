import { AggregatorRegistry, Counter, type OpenMetricsContentType, Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { prometheus } from '../../../ts/insight/formats/prometheus.ts'
import { register } from '../../../ts/insight/formats/register.ts'
import type { Report } from '../../../ts/insight/types.ts'
import { readMetrics } from './metrics-reader.ts'
import { HOSTILE, limit, report, reportOf } from './reports.ts'

/** The samples of the metrics that have any. prom-client also names those that have none. */
const samplesOf = (text: string, format: 'text' | 'openmetrics') =>
  readMetrics(text, format).flatMap(({ name, type, help, samples }) =>
    samples.length === 0 ? [] : [{ name, type, help, samples }],
  )

it('shows in a registry of prom-client what the text shows', async () => {
  const given = reportOf(HOSTILE)
  const registry = new Registry()
  register({ report: () => given }, registry)
  const text = (await registry.metrics()).replaceAll('\n\n', '\n')
  expect(samplesOf(`${text}# EOF\n`, 'text')).toEqual(samplesOf(prometheus(given), 'text'))
})

it('does so in a registry of OpenMetrics, at every scrape', async () => {
  const given = reportOf(HOSTILE)
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  register({ report: () => given }, registry)
  const expected = samplesOf(prometheus(given, { format: 'openmetrics' }), 'openmetrics')
  for (let scrape = 0; scrape < 2; scrape++) {
    expect(samplesOf(await registry.metrics(), 'openmetrics')).toEqual(expected)
  }
})

it('takes one report for a scrape, and a new one for the next', async () => {
  let reports = 0
  const registry = new Registry()
  const take = (): Report => {
    reports++
    return report({ limits: [limit('api', { admitted: reports })] })
  }
  register({ report: take }, registry)
  for (let scrape = 1; scrape <= 3; scrape++) {
    expect(await registry.metrics()).toContain(
      `ratethrottle_requests_total{limit="api",route="",outcome="admitted"} ${scrape}\n`,
    )
    expect(reports).toBe(scrape)
  }
})

it('adds nothing where a name is taken, and takes out what it added', async () => {
  const registry = new Registry()
  const own = new Counter({ name: 'ratethrottle_live_keys', help: 'x', registers: [registry] })
  expect(() => register({ report: () => report() }, registry)).toThrow('ratethrottle_live_keys')
  expect(registry.getMetricsAsArray()).toEqual([own])
  registry.clear()
  const remove = register({ report: () => report() }, registry)
  expect(registry.getMetricsAsArray().length).toBeGreaterThan(10)
  remove()
  expect(registry.getMetricsAsArray()).toEqual([])
  remove()
})

it('is not added up over workers that count in the same memory, and is over others', async () => {
  const merged = async (processes: number) => {
    const registries = [1, 2].map(() => {
      const registry = new Registry()
      const given = report({ processes, limits: [limit('api')] })
      register({ report: () => given }, registry)
      return registry
    })
    const figures = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()))
    return await AggregatorRegistry.aggregate(figures as never).metrics()
  }
  expect(await merged(2)).toContain('ratethrottle_live_keys{limit="api"} 10\n')
  expect(await merged(1)).toContain('ratethrottle_live_keys{limit="api"} 20\n')
})

it('keeps its figures when the registry is reset', async () => {
  const registry = new Registry()
  register({ report: () => report({ limits: [limit('api')] }) }, registry)
  registry.resetMetrics()
  expect(await registry.metrics()).toContain('ratethrottle_live_keys{limit="api"} 10\n')
})
