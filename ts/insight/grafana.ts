import { readOptions, text } from '../validate.ts'

/*
 * A dashboard for Grafana 10 and later, made of the metrics of `formats/families.ts`. `npx ratethrottle grafana`
 * prints it; a test asks a real Prometheus each of its queries.
 */

/** Options of `grafanaBoard`. */
export interface GrafanaOptions {
  /** Default: 'ratethrottle'. */
  readonly title?: string | undefined
  /** What its address has in it; a board with the same `uid` is replaced. Default: 'ratethrottle'. */
  readonly uid?: string | undefined
}

/** A dashboard as Grafana imports it: plain data. */
export interface GrafanaBoard {
  readonly title: string
  readonly uid: string
  readonly panels: readonly GrafanaPanel[]
  readonly [property: string]: unknown
}

/** One panel of a dashboard. */
export interface GrafanaPanel {
  readonly title: string
  readonly targets: readonly GrafanaQuery[]
  readonly [property: string]: unknown
}

/** One query of a panel. */
export interface GrafanaQuery {
  readonly expr: string
  readonly legendFormat: string
  readonly [property: string]: unknown
}

const DATASOURCE = { type: 'prometheus', uid: '$datasource' } as const
const WIDTH = 12
const HEIGHT = 8

/** What every query selects by, and what those of limits select by in addition. */
const ALL = 'job=~"$job"'
const OF_LIMIT = `${ALL},limit=~"$limit"`

function rate(metric: string, selector: string): string {
  return `rate(${metric}{${selector}}[$__rate_interval])`
}

function requestRate(by: string, more: string): string {
  return `sum by (${by}) (${rate('ratethrottle_requests_total', `${OF_LIMIT},${more}`)})`
}

function quantiles(kind: string): readonly Query[] {
  const buckets = `sum by (le) (${rate(`ratethrottle_${kind}_seconds_bucket`, ALL)})`
  return [0.5, 0.95, 0.99].map((share) => [
    `histogram_quantile(${share}, ${buckets})`,
    `${share * 100} %`,
  ])
}

type Query = readonly [expr: string, legend: string]

/** What a panel shows. */
interface Shown {
  readonly title: string
  readonly about: string
  readonly queries: readonly Query[]
  /** As Grafana names it. Default: requests a second. */
  readonly unit?: string
  readonly type?: 'timeseries' | 'state-timeline'
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>
}

const PANELS: readonly Shown[] = [
  {
    title: 'Admitted and denied',
    about: 'Requests a second under each limit.',
    queries: [
      [requestRate('limit', 'outcome="admitted"'), '{{limit}} admitted'],
      [requestRate('limit', 'outcome="denied"'), '{{limit}} denied'],
    ],
  },
  {
    title: 'Share denied',
    about: 'Of the requests that were counted. Much and steady: the limit may be too low.',
    unit: 'percentunit',
    queries: [
      [
        `${requestRate('limit', 'outcome="denied"')} / ${requestRate('limit', 'outcome=~"admitted|denied|waited"')}`,
        '{{limit}}',
      ],
    ],
  },
  {
    title: 'Which limit binds',
    about: 'Denials a second by the limit that denied.',
    queries: [
      [
        `sum by (limit, policy) (${rate('ratethrottle_denied_total', OF_LIMIT)})`,
        '{{limit}} {{policy}}',
      ],
    ],
  },
  {
    title: 'Other outcomes',
    about: 'Waits, dry runs, exempt requests, refusals without counting, failures, the shield.',
    queries: [[requestRate('outcome', 'outcome!~"admitted|denied"'), '{{outcome}}']],
  },
  {
    title: 'Top routes',
    about: 'The ten routes that ask most.',
    queries: [[`topk(10, ${requestRate('route', 'route!=""')})`, '{{route}}']],
  },
  {
    title: 'Top denied routes',
    about: 'The ten routes on which most is denied.',
    queries: [[`topk(10, ${requestRate('route', 'route!="",outcome="denied"')})`, '{{route}}']],
  },
  {
    title: 'Decision time',
    about: 'In memory one decision of 256 is timed.',
    unit: 's',
    queries: quantiles('decision'),
  },
  {
    title: 'Store time',
    about: 'How long Redis or another store took to answer.',
    unit: 's',
    queries: quantiles('store'),
  },
  {
    title: 'Live keys',
    about: 'Keys that owe something now.',
    unit: 'short',
    queries: [[`sum by (limit) (ratethrottle_live_keys{${OF_LIMIT}})`, '{{limit}}']],
  },
  {
    title: 'Evictions',
    about:
      'Keys a second that were forgotten while they owed something. More than a few: raise capacity.',
    queries: [[`sum by (limit) (${rate('ratethrottle_evictions_total', OF_LIMIT)})`, '{{limit}}']],
  },
  {
    title: 'Waiting',
    about: 'Callers that wait for their turn now, and how many came through or gave up.',
    unit: 'short',
    queries: [
      [`sum by (limit) (ratethrottle_waiting{${OF_LIMIT}})`, '{{limit}} waiting'],
      [
        `sum by (limit, outcome) (${rate('ratethrottle_waits_total', OF_LIMIT)})`,
        '{{limit}} {{outcome}} a second',
      ],
    ],
  },
  {
    title: 'Wait time',
    about: 'How long callers waited for their turn.',
    unit: 's',
    queries: quantiles('wait'),
  },
  {
    title: 'Store',
    about: 'Whether the store decides. While it is away each process decides with its share.',
    unit: 'none',
    type: 'state-timeline',
    words: { 0: { text: 'away', color: 'red' }, 1: { text: 'decides', color: 'green' } },
    queries: [[`min by (limit) (ratethrottle_store_available{${OF_LIMIT}})`, '{{limit}}']],
  },
  {
    title: 'Shield',
    about: 'Whether the service is offered more than it can do, or sensitive routes fail.',
    unit: 'none',
    type: 'state-timeline',
    words: {
      0: { text: 'calm', color: 'green' },
      1: { text: 'alarm', color: 'yellow' },
      2: { text: 'pressure', color: 'orange' },
      3: { text: 'alarm and pressure', color: 'red' },
    },
    queries: [[`max by (shield) (ratethrottle_shield_level{${ALL}})`, '{{shield}}']],
  },
  {
    title: 'Requests before the shield',
    about: 'Requests a second that it let in, refused, or would have refused in watch mode.',
    queries: [
      [
        `sum by (shield, outcome) (${rate('ratethrottle_shield_requests_total', ALL)})`,
        '{{shield}} {{outcome}}',
      ],
    ],
  },
  {
    title: 'Blocked sources',
    about: 'How many the shield blocks now.',
    unit: 'short',
    queries: [[`sum by (shield) (ratethrottle_shield_blocked{${ALL}})`, '{{shield}}']],
  },
  {
    title: 'Configuration',
    about: 'Whether the last reload failed; then the limits before it are in force.',
    unit: 'none',
    type: 'state-timeline',
    words: { 0: { text: 'loaded', color: 'green' }, 1: { text: 'stale', color: 'red' } },
    queries: [[`max by (instance) (ratethrottle_config_stale{${ALL}})`, '{{instance}}']],
  },
]

/**
 * A dashboard for the metrics of this package, to be imported into Grafana.
 *
 * @throws TypeError or RangeError that names the option
 */
export function grafanaBoard(options: GrafanaOptions = {}): GrafanaBoard {
  const { title, uid } = readOptions<{ title: string; uid: string }>(options, {
    title: (value, name) => text(value ?? 'ratethrottle', name, 1, 200),
    // The longest that Grafana takes.
    uid: (value, name) => text(value ?? 'ratethrottle', name, 1, 40),
  })
  return {
    uid,
    title,
    description: 'Who is limited, by what, and whether the limits hold.',
    tags: ['ratethrottle'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: variables() },
    annotations: { list: [] },
    panels: PANELS.map(panel),
  }
}

function variables(): readonly object[] {
  const datasource = {
    name: 'datasource',
    label: 'Prometheus',
    type: 'datasource',
    query: 'prometheus',
  }
  const ofLabel = (label: string, selector: string) => {
    const query = `label_values(ratethrottle_requests_total${selector}, ${label})`
    return {
      name: label,
      type: 'query',
      datasource: DATASOURCE,
      definition: query,
      query: { query, refId: label },
      // When the time range changes: limits come and go.
      refresh: 2,
      sort: 1,
      multi: true,
      includeAll: true,
      allValue: '.*',
      current: { text: 'All', value: '$__all' },
    }
  }
  return [datasource, ofLabel('job', ''), ofLabel('limit', `{${ALL}}`)]
}

function panel(shown: Shown, place: number): GrafanaPanel {
  const { title, about, queries, unit = 'reqps', type = 'timeseries', words } = shown
  const mappings = words === undefined ? [] : [{ type: 'value', options: words }]
  return {
    id: place + 1,
    type,
    title,
    description: about,
    datasource: DATASOURCE,
    gridPos: {
      x: (place % 2) * WIDTH,
      y: Math.floor(place / 2) * HEIGHT,
      w: WIDTH,
      h: HEIGHT,
    },
    fieldConfig: { defaults: { unit, min: 0, mappings }, overrides: [] },
    targets: queries.map(([expr, legendFormat], query) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + query),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  }
}
