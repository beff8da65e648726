import type {
  CountedLimiter,
  CounterPlace,
  LimitCounter,
  RouteCounter,
  Served,
} from '../counting.ts'
import type { Decision } from '../decision.ts'
import { cellOf, DENIED, FIELD, limitStart, TIMES, timesStart } from './layout.ts'
import type { LimitRow } from './rows.ts'

/** Where one limiter counts: its row in the addon, and the rows of its routes. */
export class Counter implements LimitCounter {
  readonly about: CountedLimiter
  readonly #row: LimitRow
  /** The counter of the name before this one. Limiters that nothing uses are not kept for it. */
  readonly #before: WeakRef<Counter> | undefined
  #limiter: WeakRef<Served> | undefined
  #isClosed = false

  constructor(about: CountedLimiter, row: LimitRow) {
    this.about = { ...about, name: row.name }
    this.#row = row
    const before = row.newest?.open
    this.#before = before && new WeakRef(before)
    row.newest = this
  }

  get place(): CounterPlace {
    const { counts, index } = this.#row
    return { insight: counts.id, row: index, dry: this.about.dryRun === true }
  }

  /** The limiter, while the program uses it. */
  get limiter(): Served | undefined {
    return this.#isClosed ? undefined : this.#limiter?.deref()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** This counter or the newest one before it whose limiter is in use. */
  get open(): Counter | undefined {
    let one: Counter | undefined = this
    // As many as were open at once: too many for a function that calls itself.
    while (one?.hasEnded === true) one = one.#before?.deref()
    return one
  }

  /** Whether its limiter is closed, or collected. One that is being made is neither. */
  get hasEnded(): boolean {
    return this.#isClosed || (this.#limiter !== undefined && this.#limiter.deref() === undefined)
  }

  decided(key: string, decision: Decision): void {
    const denied = this.about.dryRun === true ? FIELD.dry : DENIED + Math.min(decision.policy, 15)
    const field = decision.allowed ? FIELD.admitted : denied
    const { counts, index } = this.#row
    if (counts.isOver !== true) counts.count(key, limitStart(index) + field)
  }

  refunded(): void {
    this.#add(FIELD.refunded)
  }

  waited(ms: number): void {
    this.#add(FIELD.waited)
    this.#took(TIMES.wait, ms)
  }

  queued(change: 1 | -1): void {
    this.#row.waiting += change
  }

  gaveUp(_key: string): void {
    this.#add(FIELD.gaveUp)
  }

  storeTook(ms: number): void {
    this.#took(TIMES.store, ms)
  }

  withoutStore(): void {
    this.#add(FIELD.withoutStore)
  }

  route(route: string): RouteCounter {
    return this.#row.route(route)
  }

  serves(limiter: Served): void {
    this.#limiter = new WeakRef(limiter)
  }

  close(): void {
    this.#isClosed = true
    // A reload that was refused closes what it had opened: the limiter before it goes on.
    const { newest } = this.#row
    if (newest === this) this.#row.newest = this.open ?? this
  }

  #add(field: number): void {
    const { counts, index } = this.#row
    const place = limitStart(index) + field
    const { added } = counts
    added[place] = (added[place] ?? 0) + 1
  }

  #took(times: number, ms: number): void {
    const place = timesStart(times) + cellOf(ms)
    const { added } = this.#row.counts
    added[place] = (added[place] ?? 0) + 1
  }
}
