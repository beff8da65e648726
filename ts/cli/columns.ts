/** Rows of cells as text, each column as wide as it has to be. The last cell of a row is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    }
  }
  return rows
    .map((row) => `${row.map((cell, i) => pad(cell, i, row, widths)).join('  ')}\n`)
    .join('')
}

function pad(cell: string, i: number, row: readonly string[], widths: readonly number[]): string {
  return i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)
}
