/*
 * HTML that is put together from texts. A text and a piece of HTML are different types, so that no text gets into a
 * page unescaped: only `html` makes HTML, and it escapes each text that is put into it.
 */

/** A piece of HTML. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = Markup | string | number | readonly Markup[]

/** HTML with these values put in: texts escaped, pieces of HTML as they are. */
export function html(around: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const filled = parts.map((part, place) => textOf(part) + (around[place + 1] ?? ''))
  return new Markup((around[0] ?? '') + filled.join(''))
}

function textOf(part: Part): string {
  if (part instanceof Markup) return part.text
  if (typeof part === 'object') return part.map(({ text }) => text).join('')
  return escaped(String(part))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

/** What changes the direction of the text around it, or is not seen at all, is shown as its number. */
const INVISIBLE =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/gu

function escaped(text: string): string {
  return text
    .replace(/[&<>"'`]/g, (char) => ENTITIES[char] ?? '')
    .replace(INVISIBLE, (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)
}

/** A column of a table, and what it shows of a row. */
export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => Markup | string | number | undefined
}

/** A table under a heading, or a line that says that there is nothing. */
export function table<Row>(
  title: string,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): Markup {
  if (rows.length === 0)
    return html`<section><h2>${title}</h2><p class="none">None.</p></section>\n`
  const head = columns.map(({ title: name, cell }) => {
    const isNumber = rows.some((row) => typeof cell(row) === 'number')
    return html`<th scope="col" class="${isNumber ? 'number' : 'words'}">${name}</th>`
  })
  const body = rows.map((row) => html`<tr>${columns.map(({ cell }) => cellOf(cell(row)))}</tr>\n`)
  // On a narrow screen the table scrolls in a frame of its own, which the keyboard reaches.
  return html`<section><h2>${title}</h2>
<div class="frame" tabindex="0" role="region" aria-label="${title}"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody></table></div></section>
`
}

function cellOf(value: Markup | string | number | undefined): Markup {
  if (typeof value === 'number') return html`<td class="number">${grouped(value)}</td>`
  if (value instanceof Markup) return html`<td>${value}</td>`
  // A name from elsewhere keeps its direction to itself.
  return html`<td><bdi>${value ?? '–'}</bdi></td>`
}

const NUMBERS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 3 })

/** A number as people read it: `12,345`, or `0.5`. */
export function grouped(value: number): string {
  return NUMBERS.format(value)
}
