/** A table is `{ title, head, body, notes? }`; its first column is text, the others are figures. */
export function toText({ title, head, body, notes = [] }) {
  const widths = head.map((_, column) =>
    Math.max(...[head, ...body].map((cells) => cells[column].length)),
  )
  const line = (cells) => cells.map((cell, column) => pad(cell, widths[column], column)).join('  ')
  const rule = widths.map((width) => '─'.repeat(width)).join('  ')
  return [title, line(head), rule, ...body.map(line), ...notes, ''].join('\n')
}

export function toMarkdown({ title, head, body, notes = [] }) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const rule = line(head.map((_, column) => (column === 0 ? '---' : '---:')))
  const text = notes.map((note) => `\n${note}`)
  return [`### ${title}\n`, line(head), rule, ...body.map(line), ...text, ''].join('\n')
}

const pad = (cell, width, column) => (column === 0 ? cell.padEnd(width) : cell.padStart(width))
