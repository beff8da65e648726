import { ROUTE_OUTCOMES } from '../../counting.ts'
import { upperBound } from '../layout.ts'
import type { Report, ShieldReport, Times } from '../types.ts'
import { capped, type Labels, labelValue, limitLabels, routeLabels } from './labels.ts'

/*
 * The metrics of a report, before they are text: `prometheus.ts` prints them, `register.ts` hands them to
 * prom-client. The names and what they mean are in docs/reference/insight.md.
 */

/** One number of a metric. */
export interface Sample {
  /** What a histogram puts behind its name. */
  readonly suffix: '' | '_bucket' | '_sum' | '_count'
  readonly labels: Labels
  readonly value: number
}

/** What is known of a metric without its numbers. */
export interface FamilyHead {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
}

/** A metric with its numbers: no two samples have the same labels. */
export interface Family extends FamilyHead {
  readonly samples: readonly Sample[]
}

/**
 * Upper bounds in milliseconds: those of every second cell, from 128 ns to 34 s, each twice the one before. They are
 * the same in every scrape and every process, so that histograms can be added up.
 */
const BOUNDS: readonly number[] = Array.from({ length: 29 }, (_, place) =>
  upperBound(2 + 2 * place),
)

/** How two numbers become one, where they are about things that have the same labels. */
type Join = (one: number, other: number) => number
const sum: Join = (one, other) => one + other
/** A number and what it is about; `undefined` where it is not known. */
type Row = readonly [labels: Labels, value: number | undefined]

/** A metric, and where a report has it. */
interface Source extends FamilyHead {
  readonly join: Join
  readonly rows: (report: Report) => readonly Row[]
}

function counter(name: string, help: string, rows: Source['rows']): Source {
  return { name, type: 'counter', help, join: sum, rows }
}

function gauge(name: string, help: string, rows: Source['rows'], join: Join = sum): Source {
  return { name, type: 'gauge', help, join, rows }
}

/** One number for each limit. */
function perLimit(value: (limit: Report['limits'][number]) => number | undefined): Source['rows'] {
  return (report) => {
    const label = limitLabels(report)
    return report.limits.map((limit) => [{ limit: label(limit.name) }, value(limit)])
  }
}

/** One number for each shield. */
function perShield(value: (shield: ShieldReport) => number): Source['rows'] {
  return ({ shields }) => {
    const label = capped(shields.map(({ name }) => name))
    return shields.map((shield) => [{ shield: label(shield.name) }, value(shield)])
  }
}

function requests(report: Report): readonly Row[] {
  const [limitLabel, routeLabel] = [limitLabels(report), routeLabels(report)]
  const routed = new Set(report.routes.map(({ limit }) => limit))
  const direct = report.limits.filter(({ name }) => !routed.has(name))
  const rowsOf = (labels: Labels, outcomes: readonly string[], counts: object) =>
    outcomes.map(
      (outcome): Row => [
        { ...labels, outcome },
        (counts as Readonly<Record<string, number>>)[outcome],
      ],
    )
  return [
    ...report.routes.flatMap((counts) => {
      const route = routeLabel(counts.limit, counts.route)
      return rowsOf({ limit: limitLabel(counts.limit), route }, ROUTE_OUTCOMES, counts)
    }),
    ...direct.flatMap((counts) =>
      rowsOf({ limit: limitLabel(counts.name), route: '' }, ['admitted', 'denied', 'dry'], counts),
    ),
  ]
}

/** Where the limits depend on the request there is no text for one: then its place among them names it. */
function denials(report: Report): readonly Row[] {
  const label = limitLabels(report)
  return report.limits.flatMap(({ name, limits, deniedBy, denied }) =>
    deniedBy.length === 0
      ? [[{ limit: label(name), policy: '' }, denied] as const]
      : deniedBy.map((count, place): Row => {
          const policy = labelValue(limits[place] ?? String(place))
          return [{ limit: label(name), policy }, count]
        }),
  )
}

function waits(report: Report): readonly Row[] {
  const label = limitLabels(report)
  return report.limits.flatMap(({ name, waited, gaveUp }): readonly Row[] => [
    [{ limit: label(name), outcome: 'admitted' }, waited],
    [{ limit: label(name), outcome: 'gave_up' }, gaveUp],
  ])
}

function stores(report: Report): readonly Row[] {
  const label = limitLabels(report)
  return report.stores.map(({ limit, available }) => [{ limit: label(limit) }, Number(available)])
}

function shieldRequests({ shields }: Report): readonly Row[] {
  const label = capped(shields.map(({ name }) => name))
  return shields.flatMap(({ name, admitted, refused, wouldRefuse }): readonly Row[] => [
    [{ shield: label(name), outcome: 'admitted' }, admitted],
    [{ shield: label(name), outcome: 'refused' }, refused],
    [{ shield: label(name), outcome: 'would_refuse' }, wouldRefuse],
  ])
}

const SOURCES: readonly Source[] = [
  counter('ratethrottle_requests_total', 'Requests, by what became of them.', requests),
  counter('ratethrottle_denied_total', 'Denials, by the limit that was binding.', denials),
  counter('ratethrottle_waits_total', 'Callers that waited for their turn.', waits),
  counter(
    'ratethrottle_refunds_total',
    'Charges that were given back.',
    perLimit((limit) => limit.refunded),
  ),
  counter(
    'ratethrottle_without_store_total',
    'Decisions made in place of a store that did not answer.',
    perLimit((limit) => limit.withoutStore),
  ),
  gauge(
    'ratethrottle_waiting',
    'Callers that wait for their turn now.',
    perLimit((limit) => limit.waiting),
  ),
  gauge(
    'ratethrottle_live_keys',
    'Keys that owe something.',
    perLimit((limit) => limit.liveKeys),
  ),
  counter(
    'ratethrottle_evictions_total',
    'Keys forgotten while they owed something, for want of capacity.',
    perLimit((limit) => limit.evictions),
  ),
  gauge(
    'ratethrottle_store_available',
    'Whether the store decides (1), or this process in its place (0).',
    stores,
    Math.min,
  ),
  gauge(
    'ratethrottle_shield_level',
    '0 calm, 1 alarm, 2 pressure, 3 both.',
    perShield(({ alarm, pressure }) => Number(alarm) + 2 * Number(pressure)),
    Math.max,
  ),
  counter(
    'ratethrottle_shield_requests_total',
    'Requests that a shield has judged.',
    shieldRequests,
  ),
  gauge(
    'ratethrottle_shield_newcomer_ratio',
    'Share of new sources that are let in.',
    perShield((shield) => shield.newcomerShare),
    Math.min,
  ),
  gauge(
    'ratethrottle_shield_blocked',
    'Sources that are blocked now.',
    perShield((shield) => shield.blocked),
  ),
  counter(
    'ratethrottle_shield_evictions_total',
    'Sources forgotten for want of room.',
    perShield((shield) => shield.evictions),
  ),
  gauge(
    'ratethrottle_config_stale',
    'Whether the last reload of the configuration failed (1).',
    ({ config }) => (config === undefined ? [] : [[{}, Number(config.stale)]]),
  ),
]

const TIMES = [
  ['decision', 'Time of a decision. In memory one of 256 is timed.'],
  ['store', 'Time that the store took to answer.'],
  ['wait', 'Time that callers waited for their turn.'],
] as const

function histogramHead([kind, help]: (typeof TIMES)[number]): FamilyHead {
  return { name: `ratethrottle_${kind}_seconds`, type: 'histogram', help }
}

/** Every metric that there can be. */
export const HEADS: readonly FamilyHead[] = [
  ...SOURCES.map(({ name, type, help }) => ({ name, type, help })),
  ...TIMES.map(histogramHead),
]

/** All metrics, those without a number included, in the order of {@link HEADS}. */
export function families(report: Report): readonly Family[] {
  return [
    ...SOURCES.map(({ join, rows, ...head }) => ({ ...head, samples: joined(rows(report), join) })),
    ...TIMES.map((kind) => ({ ...histogramHead(kind), samples: histogram(report.times[kind[0]]) })),
  ]
}

/** One sample for each combination of labels: a scrape that has one of them twice is refused as a whole. */
function joined(rows: readonly Row[], join: Join): readonly Sample[] {
  const samples = new Map<string, Sample>()
  for (const [labels, value] of rows) {
    if (value === undefined) continue
    const id = JSON.stringify(Object.values(labels))
    const before = samples.get(id)
    const both = before === undefined ? value : join(before.value, value)
    samples.set(id, { suffix: '', labels, value: both })
  }
  return [...samples.values()]
}

/** The cells of a report end with the last that is not empty; a scrape needs the same bounds each time. */
function histogram({ cells, count, sumMs }: Times): readonly Sample[] {
  let below = 0
  let cell = 0
  const buckets = BOUNDS.map((bound): Sample => {
    for (; (cells[cell]?.belowMs ?? Number.POSITIVE_INFINITY) <= bound; cell++) {
      below = cells[cell]?.count ?? below
    }
    return { suffix: '_bucket', labels: { le: inSeconds(bound) }, value: below }
  })
  return [
    ...buckets,
    { suffix: '_bucket', labels: { le: '+Inf' }, value: count },
    { suffix: '_sum', labels: {}, value: sumMs / 1000 },
    { suffix: '_count', labels: {}, value: count },
  ]
}

/** A bound in seconds, without the last digits that dividing has put there. */
function inSeconds(ms: number): string {
  return String(Number((ms / 1000).toPrecision(12)))
}
