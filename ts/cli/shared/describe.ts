import type { SharedEntry } from '../../native/binding.ts'
import { printable } from '../../validate.ts'
import { attachedTo } from './attached.ts'

type Table = NonNullable<SharedEntry['table']>

export const HEAD = [
  'name',
  'limits',
  'processes',
  'capacity',
  'load',
  'denied',
  'blocked',
  'evictions',
] as const

/** What is shared, as a row below {@link HEAD}. */
export function row({ file, table, flaw }: SharedEntry): string[] {
  if (table === undefined) return [printable(file), `not to be trusted: ${flaw}`]
  const { sources, limits } = table
  const sum = (count: (limit: Table['limits'][number]) => number): number =>
    limits.reduce((total, limit) => total + count(limit), 0)
  return [
    printable(table.name),
    kindOf(table),
    `${attachedTo(table.inode).length}`,
    `${table.capacity}`,
    loadOf(table),
    `${sources?.told ?? sum((limit) => limit.denied)}`,
    `${sources?.blocked ?? sum((limit) => limit.blocked)}`,
    `${table.evictions}`,
  ]
}

/** What a file holds: the limits of a limiter, a shield, permits, or the figures of an insight, which have none. */
function kindOf({ sources, limits, algorithm, permits }: Table): string {
  if (permits !== undefined) return `permits ${permitsOf(permits)}`
  if (sources !== undefined) return 'shield'
  if (limits.length === 0) return 'insight'
  return `${limits.map(({ count, windowMs }) => `${count}/${windowMs}ms`).join(' ')} ${algorithm}`
}

function permitsOf({ perKey, total }: NonNullable<Table['permits']>): string {
  const parts = [perKey > 0 ? `${perKey} a key` : '', total > 0 ? `${total} in all` : '']
  return parts.filter((part) => part !== '').join(', ')
}

/** Everything about what is shared: names and values. */
export function lines({ file, table, flaw }: SharedEntry): string[][] {
  const shown = ['file', printable(file)]
  if (table === undefined) return [shown, ['not to be trusted', `${flaw}`]]
  const pids = attachedTo(table.inode)
  return [
    ['name', printable(table.name)],
    shown,
    ['created', `${new Date(table.madeMs).toISOString()}, generation ${table.generation}`],
    ['processes', pids.length === 0 ? 'none' : pids.join(' ')],
    ...settingsOf(table),
    ['load', loadOf(table)],
    ['evictions', `${table.evictions}`],
    ...(table.foreign === undefined ? [] : [['stale', table.foreign]]),
    ...occupancyOf(table),
  ]
}

function settingsOf({
  permits,
  sources,
  limits,
  capacity,
  bytes,
  algorithm,
  blockForMs,
}: Table): string[][] {
  if (permits !== undefined) {
    return [
      ['permits', permitsOf(permits)],
      ['capacity', `${capacity} keys, ${bytes} bytes`],
    ]
  }
  if (sources !== undefined) return [['shield', `of ${capacity} sources, ${bytes} bytes`]]
  if (limits.length === 0) return [['insight', `tables of ${capacity} keys, ${bytes} bytes`]]
  return [
    ['algorithm', `${algorithm}`],
    ['block for', blockForMs === 0 ? 'off' : `${blockForMs} ms`],
    ['capacity', `${capacity} keys, ${bytes} bytes`],
  ]
}

function occupancyOf({ sources, limits, overflows, moved, permits }: Table): string[][] {
  if (permits !== undefined) return [['held', `${permits.held}, by ${permits.keys} keys`]]
  if (sources !== undefined) {
    const { known, told, blocked, gone, claimed, slots } = sources
    const states =
      `${known} known, ${told} told to wait, ${blocked} blocked, ${gone} not seen for ten minutes, ` +
      `${claimed} being claimed, of ${slots} slots`
    return [['sources', states]]
  }
  if (limits.length === 0) return []
  return [
    ['overflows', `${overflows}`],
    ['moved', `${moved}`],
    ...limits.map((limit) => [
      `${limit.count} per ${limit.windowMs} ms`,
      (limit.burst === limit.count ? '' : `burst ${limit.burst}, `) +
        `${limit.owing} owing, ${limit.denied} denied, ${limit.blocked} blocked, ` +
        `${limit.expired} expired, ${limit.claimed} being claimed, of ${limit.slots} slots`,
    ]),
  ]
}

/** Keys that owe something or hold permits, or sources that are there, of those it was made for: in the fullest of its tables. */
function loadOf({ limits, sources, capacity, permits }: Table): string {
  const keys = limits.map(({ owing, denied, blocked }) => owing + denied + blocked)
  if (sources !== undefined) keys.push(sources.known + sources.told + sources.blocked)
  if (permits !== undefined) keys.push(permits.keys)
  return `${((100 * Math.max(0, ...keys)) / capacity).toFixed(1)} %`
}

/** The same, for JSON. */
export function described({ file, table, flaw }: SharedEntry): object {
  if (table === undefined) return { file, flaw }
  return { file, ...table, processes: attachedTo(table.inode) }
}
