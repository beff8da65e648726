import type { Clock } from '../clock.ts'

/** What an {@link Agenda} keeps. */
export interface Entry {
  /** When it falls due, on the agenda's clock. Set by the agenda. */
  at: number
  /** Where it is in the agenda's heap; -1 when it is in none. Set by the agenda. */
  place: number
}

/** The longest delay of setTimeout; a longer one would fire at once. An early wake-up finds nothing due. */
const MAX_TIMER_MS = 2_147_483_647
/** Entries handled in one turn of the event loop, so that ten thousand due together do not block it. */
const MAX_AT_ONCE = 64

/**
 * Calls a function for each entry when it falls due: any number of entries, one timer.
 *
 * A binary heap in which each entry knows its place: one of ten thousand is removed in 14 steps.
 */
export class Agenda<E extends Entry> {
  readonly #clock: Required<Clock>
  readonly #due: (entry: E) => void
  readonly #heap: E[] = []
  #stopTimer: (() => void) | undefined
  #timerAt = Number.POSITIVE_INFINITY

  /** @param due called with each entry that falls due, after its removal. Must not throw */
  constructor(clock: Required<Clock>, due: (entry: E) => void) {
    this.#clock = clock
    this.#due = due
  }

  /** Adds the entry for this time, or moves it there. `Infinity` is never. */
  put(entry: E, at: number): void {
    if (entry.place >= 0) this.remove(entry)
    if (at === Number.POSITIVE_INFINITY) return
    entry.at = at
    entry.place = this.#heap.length
    this.#heap.push(entry)
    this.#rise(entry)
    if (at < this.#timerAt) this.#arm()
  }

  /** The timer stays as it is unless nothing is left: an early wake-up costs less than a new timer. */
  remove(entry: E): void {
    const { place } = entry
    if (place < 0) return
    const last = this.#heap.pop() as E
    if (last !== entry) {
      this.#move(last, place)
      this.#sink(last)
      this.#rise(last)
    }
    entry.place = -1
    if (this.#heap.length === 0) this.#disarm()
  }

  #arm(): void {
    this.#disarm()
    const [first] = this.#heap
    if (first === undefined) return
    const ms = first.at - this.#now()
    this.#timerAt = first.at
    // A clock that throws is noticed when this fires.
    const safe = ms > 0 ? Math.min(ms, MAX_TIMER_MS) : 0
    this.#stopTimer = this.#clock.setTimer(() => this.#fire(), safe)
  }

  #disarm(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #fire(): void {
    this.#disarm()
    const now = this.#now()
    for (let seen = 0; seen < MAX_AT_ONCE; seen++) {
      const [first] = this.#heap
      // Written so that with a broken clock everything is due: the waiters then get its error.
      if (first === undefined || first.at > now) break
      this.remove(first)
      this.#due(first)
    }
    const [next] = this.#heap
    if (next !== undefined && next.at < this.#timerAt) this.#arm()
  }

  #now(): number {
    try {
      return this.#clock.now()
    } catch {
      return Number.NaN
    }
  }

  #rise(entry: E): void {
    while (entry.place > 0) {
      const above = this.#heap[(entry.place - 1) >> 1] as E
      if (above.at <= entry.at) return
      const { place } = above
      this.#move(above, entry.place)
      this.#move(entry, place)
    }
  }

  #sink(entry: E): void {
    for (;;) {
      const left = this.#heap[2 * entry.place + 1]
      const right = this.#heap[2 * entry.place + 2]
      const sooner = right !== undefined && left !== undefined && right.at < left.at ? right : left
      if (sooner === undefined || sooner.at >= entry.at) return
      const { place } = sooner
      this.#move(sooner, entry.place)
      this.#move(entry, place)
    }
  }

  #move(entry: E, place: number): void {
    this.#heap[place] = entry
    entry.place = place
  }
}
