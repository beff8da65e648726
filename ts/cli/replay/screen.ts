import { shorten } from '../../validate.ts'
import type { RefusedKey, Report, TrialReport } from './report.ts'
import type { Settings } from './settings.ts'

/** Longest key or route on the screen. */
const WIDEST = 64

/** Turns a text bold, or leaves it. */
type Bold = (text: string) => string

/** The report as a person reads it: printable ASCII, whatever the log holds. */
export function screenOf(report: Report, settings: Settings, isColored: boolean): string {
  const bold: Bold = (text) => (isColored ? `\u001b[1m${text}\u001b[22m` : text)
  const parts = [
    overview(report),
    comparison(report, bold),
    ...details(report, bold),
    suggestion(report, settings, bold),
    notes(report),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function overview(report: Report): string {
  const logs = report.logs.length === 1 ? (report.logs[0] ?? '') : `${report.logs.length} logs`
  const { lines, requests, clients, from = '', to = '' } = report
  const few = report.forgottenClients > 0 ? 'at most ' : ''
  const unreadable = report.unreadable.reduce((sum, flaw) => sum + flaw.lines, 0)
  const rest = [
    [unreadable, 'not readable'],
    [report.leftOut, 'left out as asked'],
    [report.withoutKey, `without a key (${shorten(report.key, WIDEST)}): never limited`],
  ] as const
  const others = rest
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${figure(count)} ${what}`)
  return [
    `${logs}: ${counted(lines, 'line')}, ${counted(requests, 'request')} of ${few}${counted(clients, 'client')}`,
    `from ${moment(from)} to ${moment(to)} UTC${report.isComplete ? '' : ' (not read to the end)'}`,
    ...(others.length === 0 ? [] : [`lines not counted: ${others.join(', ')}`]),
  ].join('\n')
}

function comparison({ limits, clients }: Report, bold: Bold): string {
  const rows = limits.map((trial) => [
    shorten(trial.limits, WIDEST),
    figure(trial.refused),
    percent(trial.share),
    `${figure(trial.clientsRefused)} (${percent(clients === 0 ? 0 : trial.clientsRefused / clients)})`,
    worstMinute(trial),
  ])
  const head = ['limits', 'refused', 'of all', 'clients refused', 'worst minute']
  return table(bold(`What each limit would have refused (${limits[0]?.algorithm})`), head, rows)
}

function worstMinute({ topMinutes: [worst] }: TrialReport): string {
  return worst === undefined ? '-' : `${minuteOf(worst.time)} (${figure(worst.refused)})`
}

/** The tables of the first limit; those of others are in the JSON. */
function details({ limits, key }: Report, bold: Bold): string[] {
  const [first] = limits
  if (first === undefined || first.refused === 0) return []
  const under = `under ${shorten(first.limits, WIDEST)}`
  return [
    table(
      bold(`Clients refused most ${under}`),
      ['refused', 'requests', 'busiest minute', shorten(key, WIDEST)],
      first.topClients.map((client) => keyRow(client, figure(client.busiestMinute))),
    ),
    table(
      bold(`Minutes with most refusals ${under}`),
      ['refused', 'requests', 'of it', 'minute (UTC)'],
      first.topMinutes.map(({ time, requests, refused }) => [
        figure(refused),
        figure(requests),
        percent(refused / requests),
        minuteOf(time),
      ]),
    ),
    table(
      bold(`Routes refused most ${under}`),
      ['refused', 'requests', 'of it', 'route'],
      first.topRoutes.map((route) => keyRow(route, percent(route.refused / route.requests))),
    ),
  ]
}

function keyRow({ name, requests, refused }: RefusedKey, third: string): string[] {
  return [figure(refused), figure(requests), third, shorten(name, WIDEST)]
}

function suggestion({ busiestMinute, clients }: Report, settings: Settings, bold: Bold): string {
  if (busiestMinute === undefined) return ''
  const { p50, p99, p999, most } = busiestMinute
  const next = rounded(clients < 1_000 ? most : p999)
  const stays = (share: string, count: number): string =>
    `  ${share} of clients make at most ${figure(count)} in any minute of the clock`
  return [
    bold('Requests of a client in its busiest minute'),
    stays('50 %', p50),
    stays('99 %', p99),
    stays('99.9 %', p999),
    `  the busiest one makes ${figure(most)}`,
    `  so 99.9 % of clients stay below ${figure(next)} per minute: compare with --limits '${next}/minute'`,
    '',
    bold('In code'),
    `  ${codeOf(settings)}`,
  ].join('\n')
}

/** Rounded up to two digits that count. */
function rounded(count: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, count))) - 1)
  return Math.ceil((count + 1) / unit) * unit
}

/** What turns the first of the limits on. */
function codeOf({ trials, algorithm, burst, blockForMs }: Settings): string {
  const limits = JSON.stringify(shorten(trials[0]?.text ?? '', 1_024)).replaceAll('"', "'")
  const options = [
    ...(algorithm === 'token-bucket' ? [] : [`algorithm: '${algorithm}'`]),
    ...(burst === undefined ? [] : [`burst: ${burst}`]),
    ...(blockForMs === 0 ? [] : [`blockFor: ${blockForMs}`]),
  ]
  const more = options.length === 0 ? '' : `, { ${options.join(', ')} }`
  return `const limiter = new RateLimiter(${limits}${more})`
}

function notes(report: Report): string {
  const { forgottenClients, forgottenRoutes, late, namedClients } = report
  const evictions = report.limits.reduce((sum, trial) => sum + trial.evictions, 0)
  const all: [number, string][] = [
    ...report.unreadable.map(({ why, lines, first }): [number, string] => [
      lines,
      `lines not readable: ${why} (${first.join(', ')}${lines > first.length ? ', ...' : ''})`,
    ]),
    [late, 'requests were too far out of order to be sorted: counted at the time reached by then'],
    [namedClients, 'requests are of clients that are a name and no address: counted by name'],
    [
      forgottenClients,
      'clients were forgotten to make room, those refused least: a client that came back counts as ' +
        'another, and its figures are lower bounds; raise --clients',
    ],
    [forgottenRoutes, 'routes were forgotten to make room, those refused least'],
    [
      evictions,
      'clients were evicted from a limiter while they owed something, and may have been admitted more ' +
        'than they would be; raise --clients',
    ],
  ]
  const said = all
    .filter(([count]) => count > 0)
    .map(([count, text]) => `- ${figure(count)} ${text}`)
  return said.length === 0 ? '' : ['Notes', ...said].join('\n')
}

/** Columns of equal width: figures to the right, the last to the left. */
function table(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [head, ...rows]
  const isNameFirst = head[0] === 'limits'
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const lines = all.map((row) =>
    row
      .map((cell, column) => {
        const isName = isNameFirst ? column === 0 : column === head.length - 1
        return isName ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
      })
      .join('  ')
      .trimEnd(),
  )
  return [title, ...lines.map((line) => `  ${line}`)].join('\n')
}

/** `1234567` as `1,234,567`. */
export function figure(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

function counted(count: number, noun: string): string {
  return `${figure(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** Two digits behind the point; what is more than nothing is not shown as nothing. */
function percent(share: number): string {
  const shown = (100 * share).toFixed(2)
  return share > 0 && shown === '0.00' ? '<0.01 %' : `${shown} %`
}

function moment(time: string): string {
  return time.slice(0, 19).replace('T', ' ')
}

function minuteOf(time: string): string {
  return time.slice(0, 16).replace('T', ' ')
}
