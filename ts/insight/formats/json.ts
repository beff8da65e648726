import { ROUTE_OUTCOMES } from '../../counting.ts'
import type {
  LimitCounts,
  LimitReport,
  Report,
  RouteReport,
  ShieldReport,
  Times,
  TopKey,
} from '../types.ts'
import { COUNTS, LIMIT_STATE, SHIELD_STATE, SOURCE, TIMES } from './properties.ts'

/*
 * Each object of a report is copied by a list of its properties. So their order is always the same, all are always
 * there, and nothing else can get out: not what a later version keeps beside a figure, nor a key as it was.
 */

/** What JSON can say. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json }

type Copy<T> = (value: T) => Json

const totals = copier<LimitCounts>(COUNTS)
const limit = copier<LimitReport>(['name', 'limits', 'deniedBy', ...COUNTS, ...LIMIT_STATE])
const route = copier<RouteReport>(['limit', 'route', ...ROUTE_OUTCOMES])
const topKey = copier<TopKey>(['key', 'limit', 'count', 'error'])
const times = copier<Times>([...TIMES, 'cells'], {
  cells: eachOf(copier<Times['cells'][number]>(['belowMs', 'count'])),
})
const shield = copier<ShieldReport>(['name', 'mode', ...SHIELD_STATE, 'top'], {
  top: eachOf(copier<ShieldReport['top'][number]>(['source', ...SOURCE])),
})
const store = copier<Report['stores'][number]>(['limit', 'available', 'reason'])
const config = copier<NonNullable<Report['config']>>(['stale', 'loadedAt'])

const report = copier<Report>(
  [
    'version',
    'at',
    'sinceMs',
    'processes',
    'totals',
    'limits',
    'routes',
    'top',
    'times',
    'shields',
    'stores',
    'config',
  ],
  {
    totals,
    limits: eachOf(limit),
    routes: eachOf(route),
    top: copier<Report['top']>(['asked', 'denied'], {
      asked: eachOf(topKey),
      denied: eachOf(topKey),
    }),
    times: copier<Report['times']>(['decision', 'store', 'wait'], {
      decision: times,
      store: times,
      wait: times,
    }),
    shields: eachOf(shield),
    stores: eachOf(store),
    config: (value) => (value === undefined ? null : config(value)),
  },
)

/**
 * The report as plain data. What is not known is `null`, never missing.
 *
 * It is not text, because `JSON.stringify` calls a method of this name.
 */
export function toJSON(value: Report): { readonly [name: string]: Json } {
  return report(value) as { readonly [name: string]: Json }
}

/** Copies these properties in this order, and those of `how` in their own way. */
function copier<T extends object>(
  names: readonly (keyof T & string)[],
  how: { readonly [Name in keyof T]?: Copy<T[Name]> } = {},
): Copy<T> {
  return (value) =>
    Object.fromEntries(
      names.map((name) => {
        const copy = how[name] as Copy<unknown> | undefined
        return [name, copy === undefined ? plain(value[name]) : copy(value[name])]
      }),
    )
}

function eachOf<T>(copy: Copy<T>): Copy<readonly T[]> {
  return (values) => values.map(copy)
}

/** A number that JSON has no word for is `null` there: it is here as well, so that both agree. */
function plain(value: unknown): Json {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  return typeof value === 'string' || typeof value === 'boolean' ? value : null
}
