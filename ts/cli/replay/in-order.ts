/** Lines that are held to put them in order; a line is given on when half as many have come after it. */
export const HELD_LINES = 131_072
/** Differences of times up to here fit a double beside the number of a line. */
const WIDEST_SPAN = 2 ** 36

/** A request: when, of whom, and for what. The slots are hints, see {@link KeyTable.again}. */
export interface Requests {
  request(timeMs: number, slot: number, key: string, routeSlot: number, route: string): void
}

/**
 * Puts requests in the order of their times: servers write a line when the request ends and some with the time when
 * it began, and several files are read side by side. Requests of one time keep their order. Holds a bounded number; one that
 * comes later than that is given on at the time that has been reached, as time never goes back.
 */
export class InOrder {
  /** Requests that came too late to be put in order. */
  late = 0
  readonly #next: Requests
  #columns: Columns = newColumns()
  #spare: Columns = newColumns()
  #length = 0
  #isSorted = true
  #reachedMs = 0

  constructor(next: Requests) {
    this.#next = next
  }

  push(timeMs: number, slot: number, key: string, routeSlot: number, route: string): void {
    const { times, slots, keys, routeSlots, routes } = this.#columns
    const at = this.#length
    if (at > 0 && timeMs < (times[at - 1] as number)) this.#isSorted = false
    times[at] = timeMs
    slots[at] = slot
    keys[at] = key
    routeSlots[at] = routeSlot
    routes[at] = route
    this.#length = at + 1
    if (this.#length === HELD_LINES) this.#give(HELD_LINES / 2)
  }

  /** Gives on all that is held. */
  end(): void {
    this.#give(this.#length)
  }

  #give(count: number): void {
    const order = this.#isSorted ? undefined : orderOf(this.#columns.times, this.#length)
    for (let i = 0; i < count; i++) this.#giveOne(order === undefined ? i : (order[i] as number))
    this.#keepRest(order, count)
  }

  #giveOne(at: number): void {
    const { times, slots, keys, routeSlots, routes } = this.#columns
    const timeMs = times[at] as number
    if (timeMs < this.#reachedMs) this.late++
    else this.#reachedMs = timeMs
    this.#next.request(
      this.#reachedMs,
      slots[at] as number,
      keys[at] as string,
      routeSlots[at] as number,
      routes[at] as string,
    )
  }

  /** Moves what is still held to the front, in order. */
  #keepRest(order: Float64Array | undefined, count: number): void {
    const from = this.#columns
    const to = this.#spare
    const rest = this.#length - count
    for (let i = 0; i < rest; i++) {
      const at = order === undefined ? count + i : (order[count + i] as number)
      to.times[i] = from.times[at] as number
      to.slots[i] = from.slots[at] as number
      to.keys[i] = from.keys[at] as string
      to.routeSlots[i] = from.routeSlots[at] as number
      to.routes[i] = from.routes[at] as string
    }
    this.#columns = to
    this.#spare = from
    this.#length = rest
    this.#isSorted = true
  }
}

interface Columns {
  readonly times: Float64Array
  readonly slots: Int32Array
  readonly keys: string[]
  readonly routeSlots: Int32Array
  readonly routes: string[]
}

function newColumns(): Columns {
  return {
    times: new Float64Array(HELD_LINES),
    slots: new Int32Array(HELD_LINES),
    keys: new Array(HELD_LINES).fill(''),
    routeSlots: new Int32Array(HELD_LINES),
    routes: new Array(HELD_LINES).fill(''),
  }
}

/** The places of the times from the earliest to the latest, equal ones as they stand. */
function orderOf(times: Float64Array, length: number): Float64Array {
  const used = times.subarray(0, length)
  let least = Number.POSITIVE_INFINITY
  let most = 0
  for (const time of used) {
    if (time < least) least = time
    if (time > most) most = time
  }
  if (most - least >= WIDEST_SPAN) {
    const places = Float64Array.from(used, (_, at) => at)
    return places.sort((a, b) => (used[a] as number) - (used[b] as number) || a - b)
  }
  // Without a function that compares, V8 sorts in a tenth of the time.
  const packed = Float64Array.from(used, (time, at) => (time - least) * HELD_LINES + at)
  return packed.sort().map((value) => value % HELD_LINES)
}
