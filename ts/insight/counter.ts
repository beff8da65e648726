import type {
  CountedLimiter,
  CounterPlace,
  LimitCounter,
  RouteCounter,
  RouteOutcome,
  Served,
} from '../counting.ts'
import type { Decision } from '../decision.ts'
import { hashText } from '../key-hash.ts'
import { cellOf, DENIED, FIELD, limitStart, routeCount, TIMES, timesStart } from './layout.ts'

/** The addon's functions that count. Listed, because its own types are no part of the public declarations. */
export interface Counts {
  readonly id: number
  readonly added: Float64Array
  readonly wide: Float64Array
  row(name: string, kind: number): undefined
  count(key: string, field: number, now?: number): undefined
}

/** Where one limiter counts: its row in the addon, and the rows of its routes. */
export class Counter implements LimitCounter {
  readonly about: CountedLimiter
  readonly #counts: Counts
  readonly #routes = new Map<string, Route>()
  #row: number
  #limiter: WeakRef<Served> | undefined
  #waiting = 0
  #isClosed = false

  constructor(about: CountedLimiter, counts: Counts) {
    this.about = { ...about, name: rowName(about.name) }
    this.#counts = counts
    this.#row = rowOf(counts, this.about.name, LIMIT)
  }

  get place(): CounterPlace {
    return { insight: this.#counts.id, row: this.#row, dry: this.about.dryRun === true }
  }

  /** The limiter, while the program uses it. */
  get limiter(): Served | undefined {
    return this.#isClosed ? undefined : this.#limiter?.deref()
  }

  /** Callers of this process that wait for their turn now. */
  get waiting(): number {
    return this.#waiting
  }

  decided(key: string, decision: Decision): void {
    const denied = this.about.dryRun === true ? FIELD.dry : DENIED + Math.min(decision.policy, 15)
    const field = decision.allowed ? FIELD.admitted : denied
    this.#counts.count(key, limitStart(this.#row) + field)
  }

  refunded(): void {
    this.#add(FIELD.refunded)
  }

  waited(ms: number): void {
    this.#add(FIELD.waited)
    this.#took(TIMES.wait, ms)
  }

  queued(change: 1 | -1): void {
    this.#waiting += change
  }

  turnedAway(_key: string): void {
    this.#add(FIELD.turnedAway)
  }

  storeTook(ms: number): void {
    this.#took(TIMES.store, ms)
  }

  withoutStore(): void {
    this.#add(FIELD.withoutStore)
  }

  route(route: string): RouteCounter {
    const known = this.#routes.get(route)
    if (known !== undefined) return known
    // Those beyond the rows that there are share the last one: they need no entries of their own.
    const name = this.#routes.size < MAX_ROUTES ? `${this.about.name}\t${rowName(route)}` : OTHER
    const made = new Route(name, this.#counts)
    if (this.#routes.size <= MAX_ROUTES) this.#routes.set(name === OTHER ? OTHER : route, made)
    return name === OTHER ? (this.#routes.get(OTHER) ?? made) : made
  }

  serves(limiter: Served): void {
    this.#limiter = new WeakRef(limiter)
  }

  close(): void {
    this.#isClosed = true
  }

  /** The memory is another: the rows may be others. */
  renew(): void {
    this.#row = rowOf(this.#counts, this.about.name, LIMIT)
    for (const route of this.#routes.values()) route.renew()
  }

  #add(field: number): void {
    const place = limitStart(this.#row) + field
    const { added } = this.#counts
    added[place] = (added[place] ?? 0) + 1
  }

  #took(times: number, ms: number): void {
    const place = timesStart(times) + cellOf(ms)
    const { added } = this.#counts
    added[place] = (added[place] ?? 0) + 1
  }
}

/** The longest name of a row, in UTF-16 units: a limit's and a route's fit a row of the addon, which has 256 bytes. */
const MAX_NAME = 80

/** A name as rows have it: without what separates rows in texts, and short; different names stay different. */
export function rowName(name: string): string {
  const clean = name.toWellFormed().replace(/\p{Cc}/gu, '\ufffd')
  if (clean === name && Buffer.byteLength(name) <= 1.5 * MAX_NAME) return name
  return `${clean.slice(0, MAX_NAME / 2).toWellFormed()}…${hashText(name).slice(0, 8)}`
}

const LIMIT = 0
const ROUTE = 1
const MAX_ROUTES = 256
/** The name of all further routes. */
const OTHER = 'other'

class Route implements RouteCounter {
  readonly #name: string
  readonly #counts: Counts
  #row: number

  constructor(name: string, counts: Counts) {
    this.#name = name
    this.#counts = counts
    this.#row = rowOf(counts, name, ROUTE)
  }

  count(outcome: RouteOutcome): void {
    const place = routeCount(this.#row, outcome)
    const { added } = this.#counts
    added[place] = (added[place] ?? 0) + 1
  }

  renew(): void {
    this.#row = rowOf(this.#counts, this.#name, ROUTE)
  }
}

function rowOf(counts: Counts, name: string, kind: number): number {
  counts.row(name, kind)
  return counts.wide[0] ?? 0
}
