#!/usr/bin/env node
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type SharedEntry, sharedList, sharedRemove } from '../native/binding.ts'
import { printable } from '../validate.ts'

const USAGE = `Usage: ratethrottle shared list | show <name> | remove <name> | prune

Shows the limiters and shields that processes of this user share on this host.

  list            one line for each: its limits, its processes, how full it is
  show <name>     everything about one of them
  remove <name>   deletes one, given its name or the name of its file, unless processes use it
  prune           deletes files that are not to be trusted or of another version, unless processes use them

  --json          prints list and show as JSON
  --help          prints this text
`

/** Exit codes: the command failed; the command is unknown. */
const FAILED = 1
const MISUSED = 2

function run(args: string[]): number {
  const command = parse(args)
  if (command === undefined) return MISUSED
  try {
    process.stdout.write(command())
    return 0
  } catch (error) {
    // The message may hold a file's name, which may hold anything.
    process.stderr.write(`${ascii(error instanceof Error ? error.message : String(error))}\n`)
    return FAILED
  }
}

function parse(args: string[]): (() => string) | undefined {
  try {
    const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    if (values.help === true || args.length === 0) return () => USAGE
    return commandOf(positionals, values.json === true)
  } catch (error) {
    return usageError(error instanceof Error ? printable(error.message) : '')
  }
}

function commandOf(words: string[], json: boolean): (() => string) | undefined {
  const [area, verb, name, ...rest] = words
  if (area === 'shared' && rest.length === 0) {
    if (verb === 'list' && name === undefined) return () => list(json)
    if (verb === 'show' && name !== undefined) return () => show(name, json)
    if (verb === 'remove' && name !== undefined) return () => remove(name)
    if (verb === 'prune' && name === undefined) return prune
  }
  return usageError(`unknown command ${printable(words.join(' '))}`)
}

function usageError(message: string): undefined {
  process.stderr.write(`${message}\n\n${USAGE}`)
}

type Table = NonNullable<SharedEntry['table']>

const HEAD = ['name', 'limits', 'processes', 'capacity', 'load', 'denied', 'blocked', 'evictions']

/** One line for each shared limiter or shield. */
function list(json: boolean): string {
  const entries = sharedList()
  if (json) return toJson(entries.map(described))
  if (entries.length === 0) return 'nothing is shared\n'
  return columns([HEAD, ...entries.map(row)])
}

/** Everything about the limiters and shields of a name: with other settings there may be several. */
function show(name: string, json: boolean): string {
  const found = named(name)
  if (json) return toJson(found.map(described))
  return found.map((entry) => columns(lines(entry))).join('\n')
}

/** Removes the limiters and shields of a name, and says which files were removed. */
function remove(name: string): string {
  const found = named(name)
  for (const { file } of found) sharedRemove(file)
  return found.map(({ file }) => `removed ${printable(file)}\n`).join('')
}

/** Removes the files that this version cannot use, unless processes have mapped them. */
function prune(): string {
  const unusable = sharedList().filter(({ table }) => table === undefined)
  const lines = unusable.map(({ file, flaw }) => {
    try {
      const pids = attachedTo(statSync(`/dev/shm/ratethrottle-${process.geteuid?.()}/${file}`).ino)
      if (pids.length > 0) return `kept ${printable(file)}: used by ${pids.join(' ')}\n`
      sharedRemove(file)
      return `removed ${printable(file)}: ${flaw}\n`
    } catch (error) {
      return `kept ${printable(file)}: ${ascii(error instanceof Error ? error.message : '')}\n`
    }
  })
  return lines.join('') || 'nothing to remove\n'
}

function named(name: string): SharedEntry[] {
  const found = sharedList().filter(({ file, table }) => file === name || table?.name === name)
  if (found.length > 0) return found
  throw new Error(`nothing is shared as ${printable(name)}; "ratethrottle shared list" shows all`)
}

function row({ file, table, flaw }: SharedEntry): string[] {
  if (table === undefined) return [printable(file), `not to be trusted: ${flaw}`]
  const { sources, limits } = table
  const sum = (count: (limit: Table['limits'][number]) => number): number =>
    limits.reduce((total, limit) => total + count(limit), 0)
  const policy = limits.map(({ count, windowMs }) => `${count}/${windowMs}ms`)
  return [
    printable(table.name),
    sources === undefined ? `${policy.join(' ')} ${table.algorithm}` : 'shield',
    `${attachedTo(table.inode).length}`,
    `${table.capacity}`,
    loadOf(table),
    `${sources?.told ?? sum((limit) => limit.denied)}`,
    `${sources?.blocked ?? sum((limit) => limit.blocked)}`,
    `${table.evictions}`,
  ]
}

function lines({ file, table, flaw }: SharedEntry): string[][] {
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

function settingsOf({ sources, capacity, bytes, algorithm, blockForMs }: Table): string[][] {
  if (sources !== undefined) return [['shield', `of ${capacity} sources, ${bytes} bytes`]]
  return [
    ['algorithm', `${algorithm}`],
    ['block for', blockForMs === 0 ? 'off' : `${blockForMs} ms`],
    ['capacity', `${capacity} keys, ${bytes} bytes`],
  ]
}

function occupancyOf({ sources, limits, overflows, moved }: Table): string[][] {
  if (sources !== undefined) {
    const { known, told, blocked, gone, claimed, slots } = sources
    const states =
      `${known} known, ${told} told to wait, ${blocked} blocked, ${gone} not seen for ten minutes, ` +
      `${claimed} being claimed, of ${slots} slots`
    return [['sources', states]]
  }
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

/** Keys that owe something, or sources that are there, of those it was made for: in the fullest of its tables. */
function loadOf({ limits, sources, capacity }: Table): string {
  const keys = limits.map(({ owing, denied, blocked }) => owing + denied + blocked)
  if (sources !== undefined) keys.push(sources.known + sources.told + sources.blocked)
  return `${((100 * Math.max(0, ...keys)) / capacity).toFixed(1)} %`
}

function described({ file, table, flaw }: SharedEntry): object {
  if (table === undefined) return { file, flaw }
  return { file, ...table, processes: attachedTo(table.inode) }
}

/** JSON escapes the control characters of ASCII; some terminals obey others too. */
function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2).split('\n').map(ascii).join('\n')}\n`
}

/** Text for a terminal: everything but printable ASCII is escaped, because terminals obey some of it. */
function ascii(text: string): string {
  return text.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Rows of cells as text, each column as wide as it has to be. The last cell of a row is not padded. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    }
  }
  const padded = (row: readonly string[]): string[] =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
  return rows.map((row) => `${padded(row).join('  ')}\n`).join('')
}

/** Start of the paths in /proc/PID/maps: the process that creates a file maps it before it has its name. */
const MAPPED_PATH = '/ratethrottle-'

/** The processes that have mapped a shared file, except those in other containers, which /proc does not show. */
function attachedTo(inode: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const hasMapped = (pid: string): boolean =>
    mapsOf(pid).some(
      ([, , , , mapped, path]) => mapped === `${inode}` && path?.includes(MAPPED_PATH),
    )
  return pids.filter(hasMapped).map(Number)
}

/**
 * The mapped files of a process: addresses, rights, offset, device, inode, path. None of one that has ended, or
 * that is another user's.
 */
function mapsOf(pid: string): string[][] {
  try {
    const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')
    return lines.map((line) => line.split(/\s+/))
  } catch {
    return []
  }
}

process.exitCode = run(process.argv.slice(2))
