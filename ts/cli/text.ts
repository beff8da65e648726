import type { Writable } from 'node:stream'

/*
 * Text for terminals and pipes. Keys, names of files and messages of a process may hold anything, and a terminal
 * obeys some of it: so everything that is printed passes `ascii`.
 */

/** Everything but printable ASCII escaped. */
export function ascii(text: string): string {
  return text.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Text in a form of its own, CSV or HTML: what a terminal could obey escaped, all other characters as they are. */
export function visible(text: string): string {
  return text.replace(/[^\P{C}\n\r\t]/gu, ascii)
}

/** What comes from outside, for a cell of a table: escaped, and cut. */
export function cell(text: string, longest = 64): string {
  const shown = ascii(text.slice(0, longest + 1))
  return shown.length > longest ? `${shown.slice(0, longest - 3)}...` : shown
}

/** JSON escapes the control characters of ASCII; some terminals obey others too. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2).split('\n').map(ascii).join('\n')}\n`
}

/** Rows of cells as text, each column as wide as it has to be. The last cell of a row is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, text] of row.slice(0, -1).entries()) {
      widths[i] = Math.max(widths[i] ?? 0, text.length)
    }
  }
  const padded = (row: readonly string[]): string[] =>
    row.map((text, i) => (i === row.length - 1 ? text : text.padEnd(widths[i] ?? 0)))
  return rows.map((row) => `${padded(row).join('  ')}\n`).join('')
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
] as const

/** A time in its two largest units: `2 min 5 s`. Less than a second is `850 ms`. */
export function duration(ms: number | null): string {
  if (ms === null || ms === Number.POSITIVE_INFINITY) return 'never'
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  let left = Math.ceil(ms / 1_000) * 1_000
  const parts: string[] = []
  for (const [size, unit] of UNITS) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count} ${unit}`)
    else if (parts.length > 0) break
  }
  return parts.slice(0, 2).join(' ')
}

/** A share in percent. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`
}

/** Turns headings bold on a terminal that wants it: https://no-color.org. */
export interface Style {
  bold(text: string): string
  red(text: string): string
  yellow(text: string): string
}

/** What a stream may be decorated with. */
export function styleOf(stream: Writable): Style {
  const { NO_COLOR = '' } = process.env
  const isPlain = NO_COLOR !== '' || !isTerminal(stream)
  const wrap = (on: number, off: number) => (text: string) =>
    isPlain ? text : `\u001b[${on}m${text}\u001b[${off}m`
  return { bold: wrap(1, 22), red: wrap(31, 39), yellow: wrap(33, 39) }
}

/** Whether a stream is a terminal. */
export function isTerminal(stream: Writable): boolean {
  return 'isTTY' in stream && stream.isTTY === true
}
