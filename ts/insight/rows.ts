import type { RouteCounter, RouteOutcome } from '../counting.ts'
import { hashText } from '../key-hash.ts'
import type { Counter } from './counter.ts'
import { routeCount } from './layout.ts'

/** The addon's functions that count. Listed, because its own types are no part of the public declarations. */
export interface Counts {
  /** The insight is closed: these functions throw, and limiters go on without it. */
  isOver?: boolean
  readonly id: number
  readonly added: Float64Array
  readonly wide: Float64Array
  row(name: string, kind: number): undefined
  count(key: string, field: number, now?: number): undefined
}

const LIMIT = 0
const ROUTE = 1
/** Routes of one limiter that have a row each. */
const MAX_ROUTES = 256
/** The name of all further limits and routes. */
const OTHER = 'other'
/** Limiters that an insight knows by name. Further ones are counted as `other`. */
const MAX_ROWS = 1_000

/** The rows of limits by name. Limiters of one name, such as those before and after a reload, have one row. */
export class Rows implements Iterable<readonly [string, LimitRow]> {
  readonly #rows = new Map<string, LimitRow>()
  readonly #counts: Counts

  constructor(counts: Counts) {
    this.#counts = counts
  }

  /** The row of a limit, made at the first call. */
  of(name: string): LimitRow {
    const shown = rowName(name)
    const known = this.#rows.get(shown)
    if (known !== undefined) return known
    if (this.#rows.size >= MAX_ROWS) this.#forgetEnded()
    if (this.#rows.size >= MAX_ROWS && shown !== OTHER) return this.of(OTHER)
    const made = new LimitRow(shown, this.#counts)
    this.#rows.set(shown, made)
    return made
  }

  get(name: string): LimitRow | undefined {
    return this.#rows.get(name)
  }

  [Symbol.iterator](): IterableIterator<[string, LimitRow]> {
    return this.#rows.entries()
  }

  /** Limits whose limiters have all ended make room for those that come. What they have counted stays. */
  #forgetEnded(): void {
    for (const [name, { hasEnded }] of this.#rows) if (hasEnded) this.#rows.delete(name)
  }

  /** The memory is another: the rows may be others. */
  renew(): void {
    for (const row of this.#rows.values()) row.renew()
  }

  /** The insight is closed. */
  end(): void {
    this.#counts.isOver = true
  }
}

/** The row of a limit, and those of its routes. */
export class LimitRow {
  readonly name: string
  readonly counts: Counts
  /** The newest limiter of the name that is open, else the newest. */
  newest: Counter | undefined
  /** Callers of this process that wait for their turn now. */
  waiting = 0
  readonly #routes = new Map<string, Route>()
  #index: number

  constructor(name: string, counts: Counts) {
    this.name = name
    this.counts = counts
    this.#index = indexOf(counts, name, LIMIT)
  }

  get index(): number {
    return this.#index
  }

  /** Whether nothing counts here any more. */
  get hasEnded(): boolean {
    return this.newest !== undefined && (this.newest.open?.hasEnded ?? true)
  }

  route(route: string): RouteCounter {
    const known = this.#routes.get(route)
    if (known !== undefined) return known
    // Those beyond the rows that there are share the last one: they need no entries of their own.
    if (this.#routes.size >= MAX_ROUTES && route !== OTHER) return this.route(OTHER)
    const made = new Route(`${this.name}\t${rowName(route)}`, this.counts)
    this.#routes.set(route, made)
    return made
  }

  renew(): void {
    this.#index = indexOf(this.counts, this.name, LIMIT)
    for (const route of this.#routes.values()) route.renew()
  }
}

class Route implements RouteCounter {
  readonly #name: string
  readonly #counts: Counts
  #index: number

  constructor(name: string, counts: Counts) {
    this.#name = name
    this.#counts = counts
    this.#index = indexOf(counts, name, ROUTE)
  }

  count(outcome: RouteOutcome): void {
    const place = routeCount(this.#index, outcome)
    const { added } = this.#counts
    added[place] = (added[place] ?? 0) + 1
  }

  renew(): void {
    this.#index = indexOf(this.#counts, this.#name, ROUTE)
  }
}

function indexOf(counts: Counts, name: string, kind: number): number {
  // For a request that comes after the insight was closed: what is added there is not read any more.
  if (counts.isOver === true) return 0
  counts.row(name, kind)
  return counts.wide[0] ?? 0
}

/** The longest name of a row, in bytes: a limit's and a route's fit a row of the addon, which has 256. */
const MAX_NAME = 120
/** What is left of a longer one, in UTF-16 units of up to three bytes, before what tells it from others. */
const SHORTENED = 35

/** A name as rows have it: without what separates rows in texts, and short; different names stay different. */
export function rowName(name: string): string {
  const clean = name.toWellFormed().replace(/\p{Cc}/gu, '\ufffd')
  if (clean === name && Buffer.byteLength(name) <= MAX_NAME) return name
  return `${clean.slice(0, SHORTENED).toWellFormed()}…${hashText(name).slice(0, 8)}`
}
