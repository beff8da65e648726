import { ROUTE_OUTCOMES } from '../../counting.ts'
import type { Report } from '../types.ts'
import { COUNTS, LIMIT_STATE, SHIELD_STATE, SOURCE, TIMES } from './properties.ts'

/*
 * A report as one table in which each row is one figure. Its columns never depend on what there is to show, every
 * spreadsheet makes a pivot table of it, and a figure that is added later is a row and no column.
 */

const COLUMNS = ['part', 'limit', 'route', 'policy', 'key', 'figure', 'value'] as const

/** What a figure is about. What is not given is an empty cell. */
interface About {
  readonly part: string
  readonly limit?: string
  readonly route?: string
  readonly policy?: string
  readonly key?: string
}

type Value = number | string | boolean | undefined
type Row = readonly [about: About, figure: string, value: Value]

/** The report as CSV (RFC 4180), with a first line of column names. */
export function toCSV(report: Report): string {
  const rows = [
    ...overview(report),
    ...report.limits.flatMap(ofLimit),
    ...report.routes.flatMap((counts) =>
      figures({ part: 'route', limit: counts.limit, route: counts.route }, counts, ROUTE_OUTCOMES),
    ),
    ...(['asked', 'denied'] as const).flatMap((table) =>
      report.top[table].flatMap((one) => {
        const about = { part: `top ${table}`, limit: one.limit, key: one.key }
        return figures(about, one, ['count', 'error'])
      }),
    ),
    ...(['decision', 'store', 'wait'] as const).flatMap((kind) =>
      figures({ part: `${kind} time` }, report.times[kind], TIMES),
    ),
    ...report.shields.flatMap(ofShield),
    ...report.stores.flatMap(({ limit, ...state }) =>
      figures({ part: 'store', limit }, state, ['available', 'reason']),
    ),
  ]
  return [COLUMNS.join(','), ...rows.map(lineOf)].map((line) => `${line}\r\n`).join('')
}

function overview({ version, at, sinceMs, processes, totals, config }: Report): readonly Row[] {
  const about = { part: 'report' }
  return [
    [about, 'version', version],
    [about, 'at', new Date(at).toISOString()],
    [about, 'sinceMs', sinceMs],
    [about, 'processes', processes],
    [about, 'configStale', config?.stale],
    [
      about,
      'configLoadedAt',
      config === undefined ? undefined : new Date(config.loadedAt).toISOString(),
    ],
    ...figures({ part: 'total' }, totals, COUNTS),
  ]
}

function ofLimit(limit: Report['limits'][number]): readonly Row[] {
  const about = { part: 'limit', limit: limit.name }
  return [
    ...figures(about, limit, LIMIT_STATE),
    ...figures(about, limit, COUNTS),
    ...limit.deniedBy.map((denied, place): Row => {
      const policy = limit.limits[place] ?? String(place)
      return [{ part: 'policy', limit: limit.name, policy }, 'denied', denied]
    }),
  ]
}

/** A shield stands in column `limit`: it is the name of what refuses. */
function ofShield({ name, top, ...state }: Report['shields'][number]): readonly Row[] {
  return [
    ...figures({ part: 'shield', limit: name }, state, ['mode', ...SHIELD_STATE]),
    ...top.flatMap(({ source, ...figuresOf }) =>
      figures({ part: 'source', limit: name, key: source }, figuresOf, SOURCE),
    ),
  ]
}

/** A row for each of these properties. */
function figures<T extends object>(
  about: About,
  from: T,
  names: readonly (keyof T & string)[],
): readonly Row[] {
  return names.map((name) => [about, name, from[name] as Value])
}

function lineOf([about, figure, value]: Row): string {
  const texts = { route: '', policy: '', key: '', limit: '', ...about, figure }
  const cells = COLUMNS.slice(0, -1).map((column) => cellOf(texts[column as keyof typeof texts]))
  return [...cells, typeof value === 'number' ? String(value) : cellOf(String(value ?? ''))].join(
    ',',
  )
}

/** Every text is quoted: then nothing in it ends a cell or a line. */
function cellOf(text: string): string {
  return `"${unformulated(text).replaceAll('"', '""')}"`
}

/**
 * Where a formula could begin: at a cell's start, and after what some program separates cells by (a spreadsheet that
 * is set to semicolons opens every file by them). Programs skip spaces, quotes and invisible characters before it.
 */
const FORMULA =
  /(?<=^|[;,|\t\r\n])(?=[\s"'\p{C}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])|^(?=[\s"'\p{C}]*[\t\r\n])/gu

/** The text with a quote before each place where a spreadsheet could read a formula. */
function unformulated(text: string): string {
  return text.replace(FORMULA, "'")
}
