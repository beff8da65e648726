import { expect, it } from 'vitest'
import { prometheus } from '../../../ts/insight/formats/prometheus.ts'
import { upperBound } from '../../../ts/insight/layout.ts'
import { readMetrics } from './metrics-reader.ts'
import { HOSTILE, limit, report, reportOf, route, shield, times } from './reports.ts'

const FORMATS = ['text', 'openmetrics'] as const

/** Each sample as `name{label=value,…} number`, as a strict reader finds it. */
function samples(of: Parameters<typeof prometheus>[0]): readonly string[] {
  return readMetrics(prometheus(of), 'text').flatMap((family) =>
    family.samples.map(({ name, labels, value }) => {
      const pairs = [...labels].map(([label, text]) => `${label}=${text}`)
      return `${name}{${pairs.join()}} ${value}`
    }),
  )
}

it('has the names and labels of the reference', () => {
  const all = report({
    limits: [limit('api'), limit('mail', { waiting: undefined })],
    routes: [route('api', 'GET /users/:id')],
    stores: [{ limit: 'api', available: false, reason: 'timeout' }],
    shields: [shield('front')],
    config: { stale: false, loadedAt: 0 },
  })
  expect(samples(all)).toEqual(
    expect.arrayContaining([
      'ratethrottle_requests_total{limit=api,route=GET /users/:id,outcome=admitted} 1',
      'ratethrottle_requests_total{limit=api,route=GET /users/:id,outcome=denied} 2',
      'ratethrottle_requests_total{limit=mail,route=,outcome=admitted} 100',
      'ratethrottle_requests_total{limit=mail,route=,outcome=denied} 12',
      'ratethrottle_requests_total{limit=mail,route=,outcome=dry} 3',
      'ratethrottle_denied_total{limit=api,policy=10/second} 7',
      'ratethrottle_denied_total{limit=api,policy=100/minute} 5',
      'ratethrottle_waits_total{limit=api,outcome=gave_up} 6',
      'ratethrottle_live_keys{limit=api} 10',
      'ratethrottle_evictions_total{limit=mail} 9',
      'ratethrottle_store_available{limit=api} 0',
      'ratethrottle_shield_level{shield=front} 2',
      'ratethrottle_shield_requests_total{shield=front,outcome=refused} 5',
      'ratethrottle_config_stale{} 0',
    ]),
  )
  // The requests of a limit with routes are those of its routes: nothing is counted twice.
  expect(samples(all).filter((line) => line.includes('limit=api,route=,'))).toEqual([])
  expect(samples(all).filter((line) => line.startsWith('ratethrottle_waiting'))).toHaveLength(1)
})

it('says nothing about what there is not', () => {
  const names = samples(report()).map((line) => line.split('{')[0])
  expect([...new Set(names)]).toEqual(
    ['decision', 'store', 'wait'].flatMap((kind) =>
      ['bucket', 'sum', 'count'].map((part) => `ratethrottle_${kind}_seconds_${part}`),
    ),
  )
})

it.each([
  [false, false, 0],
  [false, true, 1],
  [true, false, 2],
  [true, true, 3],
])('a shield with pressure %s and alarm %s is at level %i', (pressure, alarm, level) => {
  const lines = samples(report({ shields: [shield('front', { pressure, alarm })] }))
  expect(lines).toContain(`ratethrottle_shield_level{shield=front} ${level}`)
})

it('has the same bounds in each scrape, in seconds, and counts what lies below them', () => {
  const taken = times([
    [upperBound(1), 4],
    [upperBound(2), 1],
    [upperBound(3), 3],
    [upperBound(40), 2],
    [Number.POSITIVE_INFINITY, 1],
  ])
  const lines = samples(report({ times: { decision: taken, store: times(), wait: times() } }))
  const bucketsOf = (kind: string) =>
    lines.flatMap((line) => {
      const [, of, bound = '', count] =
        /^ratethrottle_(\w+)_seconds_bucket\{le=(.+)\} (.+)$/.exec(line) ?? []
      return of === kind ? [[bound, Number(count)] as const] : []
    })
  const decision = new Map(bucketsOf('decision'))
  const bound = (cell: number) => String(Number((upperBound(cell) / 1000).toPrecision(12)))
  expect([2, 4, 38, 40, 58].map((cell) => decision.get(bound(cell)))).toEqual([5, 8, 8, 10, 10])
  expect(decision.get('+Inf')).toBe(11)
  expect(lines).toContain('ratethrottle_decision_seconds_count{} 11')
  expect(bucketsOf('store').map(([name]) => name)).toEqual([...decision.keys()])
  expect([...decision.keys()][0]).toBe('1.28e-7')
})

it.each(FORMATS)('is read by a strict reader with every hostile name: %s', (format) => {
  const read = readMetrics(prometheus(reportOf(HOSTILE), { format }), format)
  const shown = read.find(({ name }) => name.startsWith('ratethrottle_live_keys'))?.samples
  const names = shown?.map(({ labels }) => labels.get('limit'))
  const replaced = HOSTILE.map((name) => name.toWellFormed().replace(/(?!\n)\p{Cc}/gu, '\ufffd'))
  expect(new Set(names)).toEqual(new Set(replaced))
  expect(read.find(({ name }) => name === 'ratethrottle_decision_seconds')?.unit).toBe(
    format === 'openmetrics' ? 'seconds' : undefined,
  )
})

it('has at most 64 limits and 256 routes, and adds up the rest', () => {
  const names = Array.from({ length: 1000 }, (_, i) => `limit ${i}`)
  const paths = Array.from({ length: 5000 }, (_, i) => `GET /${i}`)
  const many = report({
    limits: names.map((name) => limit(name)),
    routes: paths.map((path, i) => route(names[i % 70] ?? '', path)),
    shields: names.map((name) => shield(name, { newcomerShare: name === 'limit 999' ? 0.1 : 1 })),
    stores: names.map((name) => ({
      limit: name,
      available: name !== 'limit 999',
      reason: undefined,
    })),
  })
  const read = readMetrics(prometheus(many), 'text')
  const all = read.flatMap((family) => family.samples)
  const distinct = (label: string) => new Set(all.flatMap(({ labels }) => labels.get(label) ?? []))
  expect(distinct('limit').size).toBe(65)
  expect(distinct('shield').size).toBe(65)
  expect(distinct('route').size).toBe(258)
  expect(all.length).toBeLessThan(6000)
  const lines = samples(many)
  expect(lines).toContain('ratethrottle_live_keys{limit=other} 9360')
  expect(lines).toContain('ratethrottle_store_available{limit=other} 0')
  expect(lines).toContain('ratethrottle_shield_newcomer_ratio{shield=other} 0.1')
  const admitted = all.filter(
    ({ labels }) => labels.get('outcome') === 'admitted' && (labels.get('route') ?? '') !== '',
  )
  expect(admitted.reduce((sum, { value }) => sum + value, 0)).toBe(5000)
})

it('adds up what two limits of one name did, so that no series stands twice', () => {
  const lines = samples(
    report({ limits: [limit('api'), limit('api'), limit('api\u0000'), limit('api\u0001')] }),
  )
  expect(lines).toContain('ratethrottle_live_keys{limit=api} 20')
  expect(lines).toContain('ratethrottle_live_keys{limit=api\ufffd} 20')
})

it('names a policy by its place where the limits depend on the request', () => {
  const plans = limit('plans', { limits: [], deniedBy: [3, 4] })
  const whole = limit('whole', { limits: [], deniedBy: [], denied: 9 })
  const lines = samples(report({ limits: [plans, whole] }))
  expect(lines).toContain('ratethrottle_denied_total{limit=plans,policy=1} 4')
  expect(lines).toContain('ratethrottle_denied_total{limit=whole,policy=} 9')
})

it('refuses a format that there is not', () => {
  const unknown = { format: 'xml' as 'text' }
  expect(() => prometheus(report(), unknown)).toThrow(
    'format must be "text" or "openmetrics", got "xml"',
  )
})

it('is judged by a reader that finds what is wrong', () => {
  const good = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c"} 1\n# EOF\n'
  expect(() => readMetrics(good, 'text')).not.toThrow()
  const wrong = [
    good.replace('# EOF\n', ''),
    good.replace('# TYPE a_total counter\n', ''),
    good.replace('a_total{b="c"} 1\n', 'a_total{b="c"} 1\na_total{b="c"} 1\n'),
    good.replace('"c"', '"c"d"'),
    good.replace('"c"', '"\\x"'),
    good.replace(' 1\n', ' one\n'),
    good.replaceAll('a_total', 'a'),
    good.replace('a_total{b', 'b_total{b'),
    good.replace('} 1', '} -1'),
  ]
  for (const text of wrong) expect(() => readMetrics(text, 'text'), text).toThrow()
  expect(() => readMetrics(good, 'openmetrics')).toThrow()
})
