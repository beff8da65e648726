/** Text for a terminal: whatever is not printable ASCII is escaped, because terminals obey some of it. */
export function ascii(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, escapeUnit)
}

/** As {@link ascii}, for text of several lines. */
export function asciiLines(text: string): string {
  return text.split('\n').map(ascii).join('\n')
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
