import { ROUTE_OUTCOMES } from '../../counting.ts'
import type { LimitReport, Report, Series, Times, TopKey } from '../types.ts'
import { chart } from './chart.ts'
import { type Column, grouped, html, Markup, table } from './markup.ts'
import { STYLE } from './style.ts'

/**
 * A report as one HTML file. It has no scripts and asks no server for anything; its policy forbids both, in case
 * it is opened where something else got in.
 *
 * @param place where it was counted, in words
 */
export function toHTML(report: Report, series: readonly Series[], place = ''): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Rate limits, ${moment(report.at)}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header><h1>Rate limits</h1>
<p class="quiet">${period(report)}${place === '' ? '' : `, ${place}`}</p>${scope(report)}</header>
<main>
${tiles(report)}${charts(series)}${limits(report)}${routes(report)}${top(report)}${times(report)}${shields(report)}${stores(report)}</main>
</body>
</html>
`
  return page.text
}

function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function period({ at, sinceMs, processes }: Report): string {
  // `null` in a report that another process has sent.
  const from = typeof sinceMs === 'number' ? `${duration(sinceMs)} until` : 'everything until'
  return `${from} ${moment(at)}, ${processes} ${processes === 1 ? 'process' : 'processes'}`
}

const UNITS = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
  ['seconds', 1000],
] as const

/** In the largest unit that it has one of. */
function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, length]) => ms >= length) ?? ['ms', 1]
  const shown = grouped(ms / size)
  return `${shown} ${shown === '1' && size > 1 ? unit.slice(0, -1) : unit}`
}

/** What a report about a time says about all time. */
function scope({ sinceMs }: Report): Markup {
  if (typeof sinceMs !== 'number') return html``
  const said =
    'Admitted, denied, dry and waited are of this time, all other figures since the start.'
  return html`<p class="quiet">${said}</p>`
}

function tiles({ totals, config }: Report): Markup {
  const asked = totals.admitted + totals.denied
  const share = asked === 0 ? '–' : `${((totals.denied / asked) * 100).toPrecision(3)} %`
  const shown = [
    ['Admitted', grouped(totals.admitted)],
    ['Denied', grouped(totals.denied)],
    ['Denied share', share],
    ['Denied in dry runs', grouped(totals.dry)],
    ['Waited', grouped(totals.waited)],
    ['Gave up', grouped(totals.gaveUp)],
    ...(config === undefined
      ? []
      : [['Configuration', config.stale ? 'stale' : 'loaded'] as const]),
  ] as const
  return html`<dl>${shown.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>\n`
}

function charts(series: readonly Series[]): Markup {
  const shown = series.filter(({ points }) => points.length > 0)
  if (shown.length === 0) return html``
  return html`<section><h2>Over time</h2>
<p class="quiet">Times are UTC.<span class="key admitted"></span>admitted<span class="key denied"></span>denied</p>
${shown.map(chart)}</section>
`
}

function limits(report: Report): Markup {
  return table('Limits', report.limits, [
    { title: 'name', cell: ({ name }) => name },
    { title: 'limits', cell: ({ limits: texts }) => texts.join(', ') },
    { title: 'admitted', cell: ({ admitted }) => admitted },
    { title: 'denied', cell: ({ denied }) => denied },
    { title: 'denied by', cell: binding },
    { title: 'dry', cell: ({ dry }) => dry },
    { title: 'refunded', cell: ({ refunded }) => refunded },
    { title: 'without store', cell: ({ withoutStore }) => withoutStore },
    { title: 'live keys', cell: ({ liveKeys }) => liveKeys },
    { title: 'evictions', cell: ({ evictions }) => evictions },
    { title: 'algorithm', cell: ({ algorithm }) => algorithm },
    { title: 'tier', cell: ({ tier }) => tier },
  ])
}

/** Which limit binds, where there are several. */
function binding({ limits: texts, deniedBy }: LimitReport): string {
  const shown = deniedBy.map((count, place) => `${texts[place] ?? place}: ${grouped(count)}`)
  return shown.join(', ') || '–'
}

function routes(report: Report): Markup {
  return table('Routes', report.routes, [
    { title: 'route', cell: ({ route }) => route },
    { title: 'limit', cell: ({ limit }) => limit },
    ...ROUTE_OUTCOMES.map((outcome) => ({
      title: outcome,
      cell: (counts: Report['routes'][number]) => counts[outcome],
    })),
  ])
}

const TOP: readonly Column<TopKey>[] = [
  { title: 'key', cell: ({ key }) => key },
  { title: 'limit', cell: ({ limit }) => limit },
  { title: 'at most', cell: ({ count }) => count },
  { title: 'at least', cell: ({ count, error }) => count - error },
]

function top({ top: { asked, denied } }: Report): Markup {
  return html`${table('Keys that were denied most', denied, TOP)}${table('Keys that asked most', asked, TOP)}`
}

function times({ times: { decision, store, wait } }: Report): Markup {
  const rows = [
    ['decision', decision],
    ['store', store],
    ['wait', wait],
  ] as const
  const shown = rows.filter(([, { count }]) => count > 0)
  const ms = (
    title: string,
    of: (distribution: Times) => number,
  ): Column<(typeof rows)[number]> => ({
    title,
    cell: ([, distribution]) => `${Number(of(distribution).toPrecision(3))} ms`,
  })
  return table('Times', shown, [
    { title: 'of', cell: ([name]) => name },
    { title: 'timed', cell: ([, { count }]) => count },
    ms('median', ({ p50Ms }) => p50Ms),
    ms('95 %', ({ p95Ms }) => p95Ms),
    ms('99 %', ({ p99Ms }) => p99Ms),
  ])
}

function shields({ shields: all }: Report): Markup {
  const sources = all.flatMap(({ name, top: sourcesOf }) =>
    sourcesOf.map((source) => ({ ...source, shield: name })),
  )
  return html`${table('Shields', all, [
    { title: 'name', cell: ({ name }) => name },
    { title: 'mode', cell: ({ mode }) => mode },
    { title: 'state', cell: ({ pressure, alarm }) => stateOf(pressure, alarm) },
    { title: 'admitted', cell: ({ admitted }) => admitted },
    { title: 'refused', cell: ({ refused }) => refused },
    { title: 'would refuse', cell: ({ wouldRefuse }) => wouldRefuse },
    { title: 'blocked', cell: ({ blocked }) => blocked },
  ])}${table('Biggest sources', sources, [
    { title: 'source', cell: ({ source }) => source },
    { title: 'shield', cell: ({ shield }) => shield },
    { title: 'a minute', cell: ({ requestsPerMinute }) => requestsPerMinute },
    { title: 'level', cell: ({ level }) => String(level) },
    {
      title: 'blocked for',
      cell: ({ blockedMs }) => (blockedMs === 0 ? '–' : duration(blockedMs)),
    },
  ])}`
}

function stateOf(pressure: boolean, alarm: boolean): string {
  return [pressure ? 'pressure' : '', alarm ? 'alarm' : ''].filter(Boolean).join(', ') || 'calm'
}

function stores(report: Report): Markup {
  return table('Stores', report.stores, [
    { title: 'limit', cell: ({ limit }) => limit },
    { title: 'state', cell: ({ available }) => (available ? 'decides' : 'away') },
    { title: 'reason', cell: ({ reason }) => reason },
  ])
}
