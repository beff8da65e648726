import { type SharedEntry, sharedList, sharedRemove } from '../native/binding.ts'
import { printable } from '../validate.ts'
import { asciiLines } from './ascii.ts'
import { attachedTo } from './attached.ts'
import { columns } from './columns.ts'

type Table = NonNullable<SharedEntry['table']>

const HEAD = ['name', 'limits', 'processes', 'capacity', 'load', 'denied', 'blocked', 'evictions']

/** What there is, a line for each. */
export function list(json: boolean): string {
  const entries = sharedList()
  if (json) return toJson(entries.map(described))
  if (entries.length === 0) return 'nothing is shared\n'
  return columns([HEAD, ...entries.map(row)])
}

/** All there is to tell about what has the name; of the same name there may be several, with other settings. */
export function show(name: string, json: boolean): string {
  const found = named(name)
  if (json) return toJson(found.map(described))
  return found.map((entry) => columns(lines(entry))).join('\n')
}

/** Removes what has the name, and says what was removed. */
export function remove(name: string): string {
  const found = named(name)
  for (const { file } of found) sharedRemove(file)
  return found.map(({ file }) => `removed ${printable(file)}\n`).join('')
}

function named(name: string): SharedEntry[] {
  const found = sharedList().filter(({ file, table }) => file === name || table?.name === name)
  if (found.length === 0) {
    throw new Error(`nothing is shared as ${printable(name)}; "ratethrottle shared list" shows all`)
  }
  return found
}

function row({ file, table, flaw }: SharedEntry): string[] {
  if (table === undefined) return [printable(file), `not to be trusted: ${flaw}`]
  const sum = (count: (limit: Table['limits'][number]) => number): string =>
    `${table.limits.reduce((total, limit) => total + count(limit), 0)}`
  return [
    printable(table.name),
    limitsOf(table),
    `${attachedTo(table.inode).length}`,
    `${table.capacity}`,
    loadOf(table),
    sum((limit) => limit.denied),
    sum((limit) => limit.blocked),
    `${table.evictions}`,
  ]
}

function lines({ file, table, flaw }: SharedEntry): string[][] {
  if (table === undefined)
    return [
      ['file', printable(file)],
      ['not to be trusted', `${flaw}`],
    ]
  const pids = attachedTo(table.inode)
  return [
    ['name', printable(table.name)],
    ['file', printable(file)],
    ['made', `${new Date(table.madeMs).toISOString()}, after ${table.generation} others`],
    ['processes', pids.length === 0 ? 'none' : pids.join(' ')],
    ['algorithm', table.algorithm],
    ['block for', table.blockForMs === 0 ? 'off' : `${table.blockForMs} ms`],
    ['capacity', `${table.capacity} keys, ${table.bytes} bytes`],
    ['load', loadOf(table)],
    ['evictions', `${table.evictions}`],
    ['overflows', `${table.overflows}`],
    ...(table.foreign === undefined ? [] : [['stale', table.foreign]]),
    ...table.limits.map((limit) => [
      `${limit.count} per ${limit.windowMs} ms`,
      (limit.burst === limit.count ? '' : `burst ${limit.burst}, `) +
        `${limit.owing} owing, ${limit.denied} denied, ${limit.blocked} blocked, ` +
        `${limit.expired} expired, ${limit.claimed} being claimed, of ${limit.slots} slots`,
    ]),
  ]
}

/** Keys that count for something, of those the table was made for: the fullest of its limits. */
function loadOf({ limits, capacity }: Table): string {
  const keys = limits.map(({ owing, denied, blocked }) => owing + denied + blocked)
  return `${((100 * Math.max(0, ...keys)) / capacity).toFixed(1)} %`
}

function limitsOf({ limits, algorithm }: Table): string {
  return `${limits.map(({ count, windowMs }) => `${count}/${windowMs}ms`).join(' ')} ${algorithm}`
}

function described({ file, table, flaw }: SharedEntry): object {
  if (table === undefined) return { file, flaw }
  return { file, ...table, processes: attachedTo(table.inode) }
}

/** JSON escapes the control characters there are in ASCII; some terminals obey others too. */
function toJson(value: unknown): string {
  return `${asciiLines(JSON.stringify(value, undefined, 2))}\n`
}
