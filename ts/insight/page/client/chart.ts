import { draw, make, section, setAttributes, setText } from './element.ts'
import { axisMoment, moment, number, perStep, share, shortNumber } from './format.ts'
import type { Column, History } from './series.ts'
import { Table, textColumn } from './table.ts'

const LEFT = 50
const RIGHT = 8
const TOP = 10
const BOTTOM = 24
/** Rows of the table that says the same as the chart. */
const TABLE_ROWS = 12

/** Admitted and denied over time: columns, the denied ones hatched and on top of the admitted ones. */
export class Chart {
  readonly element: HTMLElement
  readonly #select = make('select', { id: 'chart-limit' })
  readonly #svg = draw('svg', { role: 'img', 'aria-labelledby': 'chart-says' })
  readonly #says = draw('title', { id: 'chart-says' })
  readonly #grid = draw('path', { class: 'grid' })
  readonly #labels = draw('g', { class: 'axis', 'aria-hidden': 'true' })
  readonly #admitted = draw('path', { class: 'admitted-bars' })
  readonly #denied = draw('path', { class: 'denied-bars', fill: 'url(#hatch)' })
  readonly #cursor = draw('path', { class: 'cursor' })
  readonly #reading = make('p', { class: 'reading' })
  readonly #nothing = make(
    'p',
    { class: 'nothing' },
    make(
      'span',
      {},
      'No request has been limited yet. Send one, and it appears here within a second.',
    ),
  )
  readonly #frame = make('div', { class: 'chart' }, this.#svg, this.#nothing)
  readonly #table: Table<Column>
  #columns: Column[] = []
  #columnMs = 1000
  #names = ''
  #pointer: number | undefined

  /** @param changed another limit was chosen */
  constructor(changed: () => void) {
    const unit = (column: Column): string => moment(column.at, this.#columnMs)
    this.#table = new Table<Column>(
      'The same in numbers, newest first',
      [
        textColumn('From', unit),
        textColumn('Admitted', ({ admitted }) => number(admitted), true),
        textColumn('Denied', ({ denied }) => number(denied), true),
      ],
      ({ at }) => `${at}`,
      make('p', { class: 'empty' }, 'Nothing has been counted in this time.'),
    )
    this.#svg.append(hatch(), this.#says, this.#grid, this.#admitted, this.#denied)
    this.#svg.append(this.#cursor, this.#labels)
    const label = make('label', {}, make('span', { class: 'unseen' }, 'Limit shown'), this.#select)
    const numbers = make('details', {}, make('summary', {}, 'Show as a table'), this.#table.element)
    const { element, head } = section('over-time', 'Admitted and denied over time')
    head.append(label)
    element.append(legend(), this.#frame, this.#reading, numbers)
    this.element = element
    this.#select.addEventListener('change', changed)
    this.#frame.addEventListener('pointermove', (event) => this.#point(event.clientX))
    this.#frame.addEventListener('pointerleave', () => this.#point(undefined))
    new ResizeObserver(() => this.#paint()).observe(this.#frame)
  }

  /** Which limit is shown; `undefined` for all. */
  get chosen(): string | undefined {
    const index = Number(this.#select.value)
    return this.#select.value === '' ? undefined : this.#list()[index]
  }

  choose(limit: string): void {
    const index = this.#list().indexOf(limit)
    this.#select.value = index < 0 ? '' : `${index}`
  }

  show(history: History): void {
    this.#offer(history.names)
    this.#columns = history.columns(this.chosen)
    this.#columnMs = history.columnMs
    this.#table.show(this.#columns.filter(isUsed).reverse().slice(0, TABLE_ROWS))
    this.#paint()
  }

  #list(): string[] {
    return this.#names === '' ? [] : (JSON.parse(this.#names) as string[])
  }

  /** The choices. They are numbered: a name is only ever text. */
  #offer(names: readonly string[]): void {
    const next = JSON.stringify(names)
    if (next === this.#names && this.#select.childElementCount > 0) return
    const chosen = this.chosen
    this.#names = next
    const options = names.map((name, index) => make('option', { value: `${index}` }, name))
    this.#select.replaceChildren(make('option', { value: '' }, 'All limits'), ...options)
    if (chosen !== undefined) this.choose(chosen)
  }

  #paint(): void {
    const { clientWidth: width, clientHeight: height } = this.#frame
    if (width === 0 || this.#columns.length === 0) return
    const most = Math.max(...this.#columns.map(({ admitted, denied }) => admitted + denied))
    const top = ceilingOf(most)
    this.#nothing.hidden = most > 0
    const room = { width: width - LEFT - RIGHT, height: height - TOP - BOTTOM }
    setAttributes(this.#svg, { viewBox: `0 0 ${width} ${height}` })
    this.#bars(room, top)
    this.#axes(room, top)
    this.#read(room)
    this.#describe()
  }

  #bars(room: Room, top: number): void {
    const step = room.width / this.#columns.length
    const gap = step > 4 ? 1 : 0.25
    const paths = { admitted: '', denied: '' }
    for (const [index, { admitted, denied }] of this.#columns.entries()) {
      const x = LEFT + index * step
      const low = (admitted / top) * room.height
      const high = (denied / top) * room.height
      const base = TOP + room.height
      if (admitted > 0) paths.admitted += bar(x, base - low, step - gap, low)
      if (denied > 0) paths.denied += bar(x, base - low - high, step - gap, high)
    }
    setAttributes(this.#admitted, { d: paths.admitted })
    setAttributes(this.#denied, { d: paths.denied })
  }

  #axes(room: Room, top: number): void {
    const labels: SVGElement[] = []
    let grid = ''
    for (const value of [0, top / 2, top]) {
      const y = Math.round(TOP + room.height * (1 - value / top)) + 0.5
      grid += `M${LEFT} ${y}h${room.width}`
      if (!Number.isInteger(value)) continue
      labels.push(draw('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end' }, shortNumber(value)))
    }
    const count = room.width > 560 ? 6 : 3
    for (let i = 0; i < count; i++) {
      const index = Math.round((i * (this.#columns.length - 1)) / (count - 1))
      const x = LEFT + ((index + 0.5) * room.width) / this.#columns.length
      const anchor = i === 0 ? 'start' : i === count - 1 ? 'end' : 'middle'
      const at = this.#columns[index]?.at ?? 0
      const place = { x, y: TOP + room.height + 17, 'text-anchor': anchor }
      labels.push(draw('text', place, axisMoment(at, this.#columnMs)))
    }
    setAttributes(this.#grid, { d: grid })
    this.#labels.replaceChildren(...labels)
  }

  #point(clientX: number | undefined): void {
    this.#pointer = clientX
    this.#paint()
  }

  /** What stands below the pointer, or what a column is. */
  #read(room: Room): void {
    const x = (this.#pointer ?? -1) - this.#frame.getBoundingClientRect().left - LEFT
    const index = Math.floor((x / room.width) * this.#columns.length)
    const column = this.#pointer === undefined ? undefined : this.#columns[index]
    const middle = LEFT + ((index + 0.5) * room.width) / this.#columns.length
    setAttributes(this.#cursor, {
      d: column === undefined ? '' : `M${middle} ${TOP}v${room.height}`,
    })
    const usual = `Requests per ${perStep(this.#columnMs)}`
    setText(this.#reading, column === undefined ? usual : this.#inWords(column))
  }

  #inWords({ at, admitted, denied }: Column): string {
    const from = moment(at, this.#columnMs)
    return `${from}, ${perStep(this.#columnMs)}: ${number(admitted)} admitted, ${number(denied)} denied`
  }

  #describe(): void {
    const sum = { admitted: 0, denied: 0 }
    for (const { admitted, denied } of this.#columns) {
      sum.admitted += admitted
      sum.denied += denied
    }
    const part = share(sum.denied, sum.admitted + sum.denied)
    setText(
      this.#says,
      `Column chart of ${this.chosen ?? 'all limits'}: ${number(sum.admitted)} admitted and ` +
        `${number(sum.denied)} denied, ${part} of all. The table below has the numbers.`,
    )
  }
}

interface Room {
  readonly width: number
  readonly height: number
}

/** A small drawing of the same for a row of a table. What it says stands beside it in numbers. */
export function spark(cell: Element, columns: readonly Column[]): void {
  if (cell.childElementCount === 0) {
    const admitted = draw('path', { class: 'admitted-bars' })
    const denied = draw('path', { class: 'denied-bars', fill: 'url(#hatch)' })
    const frame = { class: 'spark', viewBox: '0 0 120 26', 'aria-hidden': 'true' }
    cell.append(draw('svg', frame, admitted, denied))
  }
  const [low, high] = cell.querySelectorAll('path')
  if (low === undefined || high === undefined) return
  const most = Math.max(1, ...columns.map(({ admitted, denied }) => admitted + denied))
  const step = 120 / Math.max(1, columns.length)
  const paths = { admitted: '', denied: '' }
  for (const [index, { admitted, denied }] of columns.entries()) {
    const [first, second] = [(admitted / most) * 25, (denied / most) * 25]
    if (admitted > 0) paths.admitted += bar(index * step, 26 - first, step, first)
    if (denied > 0) paths.denied += bar(index * step, 26 - first - second, step, second)
  }
  setAttributes(low, { d: paths.admitted })
  setAttributes(high, { d: paths.denied })
}

/** One column. However small its value, it can be seen. */
function bar(x: number, y: number, width: number, height: number): string {
  const tall = Math.max(1, height)
  const from = y - (tall - height)
  return `M${x.toFixed(2)} ${from.toFixed(2)}h${width.toFixed(2)}v${tall.toFixed(2)}h-${width.toFixed(2)}z`
}

/** A round number that the highest column does not pass: an even one, so that its half can be written. */
function ceilingOf(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(2, most)))
  const found = [1, 2, 4, 6, 8, 10].map((factor) => factor * power).find((one) => one >= most)
  return Math.max(2, found ?? 10 * power)
}

function isUsed({ admitted, denied }: Column): boolean {
  return admitted + denied > 0
}

function hatch(): SVGElement {
  const back = draw('rect', { class: 'stripe-back', width: 5, height: 5 })
  const stripe = draw('path', { class: 'stripe', d: 'M0 0v5' })
  const pattern = {
    id: 'hatch',
    width: 5,
    height: 5,
    patternUnits: 'userSpaceOnUse',
    patternTransform: 'rotate(45)',
  }
  return draw('defs', {}, draw('pattern', pattern, back, stripe))
}

function legend(): HTMLElement {
  const swatch = (kind: string, fill?: string): SVGElement =>
    draw(
      'svg',
      { viewBox: '0 0 16 12', 'aria-hidden': 'true' },
      draw('path', { class: kind, fill, d: 'M1 1h14v10h-14z' }),
    )
  const item = (drawing: SVGElement, words: string): HTMLElement => make('li', {}, drawing, words)
  return make(
    'ul',
    { class: 'legend' },
    item(swatch('admitted-bars'), 'Admitted'),
    item(swatch('denied-bars', 'url(#hatch)'), 'Denied (hatched, on top)'),
  )
}
