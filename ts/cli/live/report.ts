import { toCSV } from '../../insight/formats/csv.ts'
import { toHTML } from '../../insight/formats/html.ts'
import type { Report } from '../../insight/types.ts'
import { type Command, DONE, type Given, Misuse, wordsOf } from '../command.ts'
import { cell, columns, duration, percent, type Style, styleOf, toJson, visible } from '../text.ts'
import { readSince, reportOf, seriesOf } from './figures.ts'
import { PROCESS_HELP, PROCESS_OPTIONS } from './processes.ts'
import { keyTable, limitTable } from './tables.ts'

/** `ratethrottle report`: what has been counted. */
export const report: Command = {
  name: 'report',
  forms: ['report [--since TIME] [--csv | --html | --json]'],
  summary: 'Prints what the running processes of this host have counted, as one sum.',
  options: {
    ...PROCESS_OPTIONS,
    since: { type: 'string' },
    csv: { type: 'boolean' },
    html: { type: 'boolean' },
  },
  help: `  --since TIME    of this time alone, such as 1h. What binds, routes, keys and times are since
                  the start always
  --csv           a table for spreadsheets
  --html          one page, with charts of the last hour
${PROCESS_HELP}`,
  example: 'npx ratethrottle report --since 1h --csv > report.csv',
  run: async (given, { stdout }) => {
    wordsOf(given, 0, '')
    const since = readSince(given)
    const format = formatOf(given)
    const found = await reportOf(given, since)
    if (format === 'csv') stdout.write(visible(toCSV(found)))
    else if (format === 'html')
      stdout.write(visible(toHTML(found, await seriesOf(given), 'this host')))
    else if (format === 'json') stdout.write(toJson(found))
    else stdout.write(textOf(found, styleOf(stdout)))
    return DONE
  },
}

function formatOf(given: Given): string | undefined {
  const [format, other] = ['csv', 'html', 'json'].filter((name) => given.has(name))
  if (other !== undefined) throw new Misuse(`give --${format} or --${other}, not both`)
  return format
}

function textOf(found: Report, style: Style): string {
  const { at, sinceMs, processes, totals } = found
  const isWhole = sinceMs === undefined || sinceMs === null
  const time = isWhole ? 'since the start' : `last ${duration(sinceMs)}`
  const asked = totals.admitted + totals.denied
  const head =
    `${new Date(at).toISOString()}, ${time}, this host, processes: ${processes}\n` +
    `admitted ${totals.admitted}, denied ${totals.denied} (${percent(totals.denied, asked)}), ` +
    `dry ${totals.dry}, waited ${totals.waited}` +
    `${isWhole ? ',' : '; since the start'} without the store ${totals.withoutStore}\n`
  const parts = [
    head,
    section(style, 'Limits', limitTable(found.limits)),
    section(style, 'Routes', routeTable(found)),
    section(style, 'Keys that asked most', keyTable(found.top.asked, 10)),
    section(style, 'Keys that were denied most', keyTable(found.top.denied, 10)),
    section(style, 'Shields', shieldTable(found)),
    section(style, 'Stores', storeTable(found)),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

/** A heading over a table, if there is a row. */
export function section(style: Style, title: string, rows: readonly (readonly string[])[]): string {
  return rows.length < 2 ? '' : `${style.bold(title)}\n${columns(rows)}`
}

function routeTable({ routes }: Report): string[][] {
  const rows = routes.map((each) => [
    cell(each.limit),
    cell(each.route),
    `${each.admitted}`,
    `${each.denied}`,
    `${each.exempt}`,
    `${each.failed}`,
  ])
  return [['limit', 'route', 'admitted', 'denied', 'exempt', 'failed'], ...rows]
}

function shieldTable({ shields }: Report): string[][] {
  const rows = shields.map((each) => [
    cell(each.name),
    cell(each.mode),
    each.pressure ? 'yes' : 'no',
    `${each.admitted}`,
    `${each.refused}`,
    `${each.blocked}`,
  ])
  return [['shield', 'mode', 'pressure', 'admitted', 'refused', 'blocked now'], ...rows]
}

function storeTable({ stores }: Report): string[][] {
  const rows = stores.map(({ limit, available, reason }) => [
    cell(limit),
    available ? 'available' : `not available: ${cell(reason ?? '')}`,
  ])
  return [['limit', 'store'], ...rows]
}
