/**
 * Reads CSV as strictly as RFC 4180 has it: CRLF ends every line, a quote stands only around a whole cell or
 * doubled within one, and all lines have as many cells as the first.
 */
export function readCsv(text: string): readonly (readonly string[])[] {
  const lines: string[][] = [[]]
  let at = 0
  const fail = (why: string): never => {
    throw new Error(`${why} at ${at}: ${JSON.stringify(text.slice(Math.max(0, at - 20), at + 20))}`)
  }
  while (at < text.length) {
    const [cell, next] = text[at] === '"' ? quoted(text, at, fail) : bare(text, at, fail)
    lines.at(-1)?.push(cell)
    at = next
    if (text[at] === ',') at++
    else if (text.startsWith('\r\n', at)) {
      at += 2
      lines.push([])
    } else fail('neither a comma nor CRLF after a cell')
  }
  if (lines.pop()?.length !== 0) fail('the last line does not end with CRLF')
  const wrong = lines.find((cells) => cells.length !== lines[0]?.length)
  if (wrong !== undefined) fail(`${wrong.length} cells instead of ${lines[0]?.length}`)
  return lines
}

type Fail = (why: string) => never

function quoted(text: string, start: number, fail: Fail): readonly [cell: string, next: number] {
  let cell = ''
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] !== '"') cell += text[at]
    else if (text[at + 1] === '"') {
      cell += '"'
      at++
    } else return [cell, at + 1]
  }
  return fail('a quote that is not closed')
}

function bare(text: string, start: number, fail: Fail): readonly [cell: string, next: number] {
  const [cell = ''] = /^[^,\r\n]*/.exec(text.slice(start)) ?? []
  return cell.includes('"') ? fail('a quote within a cell') : [cell, start + cell.length]
}

/** What stands in a formula's first place in Excel, LibreOffice and Google Sheets. */
const STARTS = ['=', '+', '-', '@', '\uff1d', '\uff0b', '\uff0d', '\uff20']

/** Whether a spreadsheet that skips spaces, quotes and invisible characters could read a formula in the text. */
export function isFormula(text: string): boolean {
  if (/^[\t\r\n]/.test(text)) return true
  // Written without the expression that it judges.
  for (const char of text) {
    if (STARTS.includes(char)) return true
    if (char === "'") return false
    if (char !== '"' && char.trim() !== '' && !/\p{C}/u.test(char)) return false
  }
  return false
}

/** The text that was written into a cell, without the quotes that keep it from being a formula. */
export function written(cell: string): string {
  const guard =
    /(?<=^|[;,|\t\r\n])'(?=[\s"'\p{C}]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^'(?=[\s"'\p{C}]*[\t\r\n])/gu
  return cell.replace(guard, '')
}
