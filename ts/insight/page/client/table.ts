import { make, setAttributes, setText } from './element.ts'

/* Tables that change each second and stay where they are: a row keeps its elements, its focus and its selection. */

/** One column. */
export interface TableColumn<Row> {
  readonly title: string
  readonly isNumber?: boolean
  /** Writes the cell. It is called each time, so it changes only what differs. */
  fill(cell: HTMLElement, row: Row): void
}

/** A column of plain text. */
export function textColumn<Row>(
  title: string,
  text: (row: Row) => string,
  isNumber = false,
): TableColumn<Row> {
  return { title, isNumber, fill: (cell, row) => setText(cell, text(row)) }
}

/** A column of a text, and of another one below it in small letters. */
export function twoLines<Row>(
  title: string,
  lines: (row: Row) => readonly [string, string],
  isNumber = false,
): TableColumn<Row> {
  const fill = (cell: HTMLElement, row: Row): void => {
    if (cell.childElementCount === 0) cell.append(make('span'), make('small'))
    const [first, second] = lines(row)
    const [large, small] = cell.children as unknown as [HTMLElement, HTMLElement]
    setText(large, first)
    setText(small, second)
    small.hidden = second === ''
  }
  return { title, isNumber, fill }
}

function kindOf(isNumber: boolean): { readonly class: string | undefined } {
  return { class: isNumber ? 'number' : undefined }
}

/** A table. Its roles are written out: on a phone its rows are cards, and some readers go by what they look like. */
export class Table<Row> {
  readonly element: HTMLElement
  readonly #columns: readonly TableColumn<Row>[]
  readonly #idOf: (row: Row) => string
  readonly #body = make('tbody', { role: 'rowgroup' })
  readonly #frame: HTMLElement
  readonly #empty: HTMLElement
  readonly #rows = new Map<string, HTMLTableRowElement>()

  /**
   * @param caption says what the table shows
   * @param columns the first one names its row
   * @param empty stands in place of a table without rows
   */
  constructor(
    caption: string,
    columns: readonly TableColumn<Row>[],
    idOf: (row: Row) => string,
    empty: HTMLElement,
  ) {
    this.#columns = columns
    this.#idOf = idOf
    this.#empty = empty
    const heads = columns.map(({ title, isNumber = false }) =>
      make('th', { ...kindOf(isNumber), scope: 'col', role: 'columnheader' }, title),
    )
    const head = make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...heads))
    const table = make('table', { role: 'table' }, make('caption', {}, caption), head, this.#body)
    this.#frame = make('div', { class: 'table' }, table)
    this.element = make('div', {}, this.#frame, empty)
  }

  show(rows: readonly Row[]): void {
    this.#frame.hidden = rows.length === 0
    this.#empty.hidden = rows.length > 0
    const focused = document.activeElement
    const left = new Set(this.#rows.keys())
    const alike = new Map<string, number>()
    for (const [index, row] of rows.entries()) {
      const name = this.#idOf(row)
      const before = alike.get(name) ?? 0
      alike.set(name, before + 1)
      // Two keys may look the same: addresses without their ends do.
      const id = `${before} ${name}`
      left.delete(id)
      const element = this.#rows.get(id) ?? this.#add(id)
      this.#fill(element, row)
      if (this.#body.children[index] !== element) {
        this.#body.insertBefore(element, this.#body.children[index] ?? null)
      }
    }
    for (const id of left) this.#remove(id)
    // An element that is moved loses the focus.
    if (focused instanceof HTMLElement && focused.isConnected) {
      if (focused !== document.activeElement) focused.focus({ preventScroll: true })
    }
  }

  #add(id: string): HTMLTableRowElement {
    const cells = this.#columns.map(({ title, isNumber = false }, index) => {
      const kind = kindOf(isNumber)
      if (index === 0) return make('th', { ...kind, scope: 'row', role: 'rowheader' })
      return make('td', { ...kind, role: 'cell', 'data-name': title === '' ? undefined : title })
    })
    const row = make('tr', { role: 'row' }, ...cells)
    this.#rows.set(id, row)
    return row
  }

  #fill(element: HTMLTableRowElement, row: Row): void {
    for (const [index, column] of this.#columns.entries()) {
      const cell = element.cells[index]
      if (cell !== undefined) column.fill(cell, row)
    }
  }

  #remove(id: string): void {
    const row = this.#rows.get(id)
    this.#rows.delete(id)
    if (row?.contains(document.activeElement) === true) {
      // The keyboard's place is the table, not the top of the page.
      setAttributes(this.element, { tabindex: -1 })
      this.element.focus({ preventScroll: true })
    }
    row?.remove()
  }
}
