import { spark } from './chart.ts'
import { Facts, make, section, setName, setText } from './element.ts'
import { milliseconds, number, share, shortNumber } from './format.ts'
import type { History } from './series.ts'
import type { KeyRow, LimitRow, RouteRow, Snapshot } from './snapshot.ts'
import { Table, type TableColumn, textColumn, twoLines } from './table.ts'

/* What was limited: totals, limits, keys and routes. */

/** A paragraph in place of a table without rows. Text between backquotes is code. */
function empty(text: string): HTMLElement {
  const parts = text.split('`').map((part, i) => (i % 2 === 0 ? part : make('code', {}, part)))
  return make('p', { class: 'empty' }, ...parts)
}

/** The sums of all limits. */
export class Totals {
  readonly #facts = new Facts('tiles')
  readonly element: HTMLElement = this.#facts.element

  show({ totals, processes }: Snapshot): void {
    const { admitted, denied, dry, waited, gaveUp, withoutStore } = totals
    const asked = admitted + denied
    const some = (count: number): string | undefined =>
      count === 0 ? undefined : shortNumber(count)
    const part = `${share(denied, asked)} of ${shortNumber(asked)}`
    this.#facts.show('Admitted', shortNumber(admitted), 'passed their limit', 'admitted')
    this.#facts.show(
      'Denied',
      shortNumber(denied),
      asked === 0 ? 'no request in this time' : part,
      'denied',
    )
    this.#facts.show('Dry-run denials', some(dry), 'reported, not refused')
    this.#facts.show('Waited', some(waited), 'for their turn, then admitted')
    this.#facts.show('Gave up', some(gaveUp), 'left while they waited')
    this.#facts.show('Without the store', some(withoutStore), 'decided in its place')
    this.#facts.show('Processes', number(processes), 'count here')
  }
}

/** Which of its limits denies most, in words. */
function binding({ limits, deniedBy, denied }: LimitRow): readonly [string, string] {
  const most = Math.max(0, ...deniedBy)
  const sum = deniedBy.reduce((total, count) => total + count, 0)
  if (denied === 0 || most === 0) return ['none', '']
  const index = deniedBy.indexOf(most)
  const name = limits[index] ?? `limit ${index + 1}`
  return [name, `${share(most, sum)} of its denials`]
}

/** Each limiter with what it did. */
export class Limits {
  readonly element: HTMLElement
  readonly #table: Table<LimitRow>
  #history: History | undefined

  /** @param chosen a limit is to be shown in the chart */
  constructor(chosen: (limit: string) => void) {
    const name: TableColumn<LimitRow> = {
      title: 'Limit',
      fill: (cell, row) => nameOf(cell, row, chosen),
    }
    const drawing: TableColumn<LimitRow> = {
      title: 'Over time',
      fill: (cell, row) => spark(cell, this.#history?.columns(row.name) ?? []),
    }
    this.#table = new Table<LimitRow>(
      'What each limit did in the time shown, and which of its counts binds',
      [
        name,
        drawing,
        textColumn('Admitted', ({ admitted }) => number(admitted), true),
        twoLines<LimitRow>(
          'Denied',
          (row) => [number(row.denied), share(row.denied, row.admitted + row.denied)],
          true,
        ),
        twoLines('Binding', binding),
        textColumn(
          'Keys',
          ({ liveKeys }) => (liveKeys === undefined ? '–' : number(liveKeys)),
          true,
        ),
      ],
      (row) => row.name,
      empty(
        'No limiter counts here yet. Give this insight to a limiter or an adapter: ' +
          "`rateThrottle({ limits: '100/minute', insight: view })`. It appears here at once.",
      ),
    )
    this.element = section('limits', 'Limits', this.#table.element).element
  }

  show({ limits }: Snapshot, history: History): void {
    this.#history = history
    this.#table.show(limits)
  }
}

function nameOf(cell: HTMLElement, row: LimitRow, chosen: (limit: string) => void): void {
  if (cell.childElementCount === 0) {
    const button = make('button', { type: 'button', class: 'name', title: 'Show in the chart' })
    button.addEventListener('click', () => chosen(row.name))
    cell.append(button, make('small'))
  }
  const [button, small] = cell.children as unknown as [HTMLElement, HTMLElement]
  setName(button, row.name)
  const { limits, algorithm, tier, dry, evictions = 0 } = row
  const words = [
    limits.length === 0 ? 'depends on the request' : limits.join(', '),
    algorithm,
    tier,
  ]
  if (dry > 0) words.push(`${number(dry)} dry-run denials`)
  if (evictions > 0) words.push(`${number(evictions)} keys evicted`)
  setText(small, words.filter((word) => word !== undefined).join(' · '))
}

/** The keys that asked, or were denied, most. */
export class Keys {
  readonly element: HTMLElement
  readonly #asked: Table<KeyRow>
  readonly #denied: Table<KeyRow>

  constructor() {
    this.#denied = keyTable(
      'Denied most often: in the last minute, or since the page is open, and since the insight was made',
      'Denials',
      'No key has been denied. When one is over its limit, it appears here: one far ahead of all others is ' +
        'often abuse, many alike a limit that is too low.',
    )
    this.#asked = keyTable(
      'Asked most often: in the last minute, or since the page is open, and since the insight was made',
      'Requests',
      'No key has asked yet. The busiest clients appear here with their first requests.',
    )
    const denied = section('top-denied', 'Top denied keys', this.#denied.element)
    const asked = section('top-asked', 'Top keys', this.#asked.element)
    this.element = make('div', { class: 'pair' }, denied.element, asked.element)
  }

  show({ asked, denied }: Snapshot): void {
    this.#asked.show(asked)
    this.#denied.show(denied)
  }
}

function keyTable(caption: string, counted: string, teaches: string): Table<KeyRow> {
  const key: TableColumn<KeyRow> = {
    title: 'Key',
    fill: (cell, row) => setName(cell, row.key, 'key'),
  }
  const limit: TableColumn<KeyRow> = {
    title: 'Limit',
    fill: (cell, row) => setName(cell, row.limit),
  }
  const count = twoLines<KeyRow>(
    counted,
    (row) => [
      number(row.count),
      row.error === 0 ? '' : `at least ${number(Math.max(0, row.count - row.error))}`,
    ],
    true,
  )
  const idOf = (row: KeyRow): string => JSON.stringify([row.limit, row.key])
  const lately = textColumn<KeyRow>(
    'Last minute',
    ({ lastMinute }) => (lastMinute === undefined ? '–' : number(lastMinute)),
    true,
  )
  return new Table(caption, [key, limit, lately, count], idOf, empty(teaches))
}

/** The busiest routes, and how long decisions took. */
export class Routes {
  readonly element: HTMLElement
  readonly #more = make('p', { class: 'hint' })
  readonly #table: Table<RouteRow>

  constructor() {
    this.#table = new Table<RouteRow>(
      'Requests of each route under each limit, since the insight was made',
      [
        { title: 'Route', fill: (cell, row) => setName(cell, row.route, 'key') },
        { title: 'Limit', fill: (cell, row) => setName(cell, row.limit) },
        textColumn('Admitted', ({ admitted }) => number(admitted), true),
        textColumn('Denied', ({ denied }) => number(denied), true),
        textColumn('Other', ({ other }) => number(other), true),
      ],
      (row) => JSON.stringify([row.limit, row.route]),
      empty(
        'No route has been counted. Adapters count the requests of each route; a limiter that your code ' +
          'calls by itself has none.',
      ),
    )
    this.element = section('routes', 'Top routes', this.#table.element, this.#more).element
  }

  show({ routes, moreRoutes }: Snapshot): void {
    this.#table.show(routes)
    setText(this.#more, moreRoutes > 0 ? `${number(moreRoutes)} more routes are not shown.` : '')
    this.#more.hidden = moreRoutes === 0
  }
}

/** How long things took. */
export class Durations {
  readonly element: HTMLElement
  readonly #table: Table<readonly [string, Snapshot['times']['wait']]>

  constructor() {
    this.#table = new Table(
      'Since the insight was made; decisions in memory are sampled',
      [
        textColumn('What', ([name]) => name),
        textColumn('Median', ([, { p50Ms }]) => milliseconds(p50Ms), true),
        textColumn('95 of 100 below', ([, { p95Ms }]) => milliseconds(p95Ms), true),
        textColumn('99 of 100 below', ([, { p99Ms }]) => milliseconds(p99Ms), true),
      ],
      ([name]) => name,
      empty('Nothing has been measured yet. Of decisions in memory, one of 256 is.'),
    )
    this.element = section('durations', 'How long it took', this.#table.element).element
  }

  show({ times }: Snapshot): void {
    const rows = [
      ['Decision', times.decision],
      ['Answer of the store', times.store],
      ['Wait for a turn', times.wait],
    ] as const
    this.#table.show(rows.filter(([, { count }]) => count > 0))
  }
}
