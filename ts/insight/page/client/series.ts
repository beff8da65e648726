import type { LimitSeries, Snapshot } from './snapshot.ts'

/* What happened over time. The server sends all steps once, and then the last few again each second. */

/** Columns of the chart that are joined from steps, and how long each is. */
const COLUMN_MS: Readonly<Record<number, number>> = {
  1000: 5_000,
  60000: 600_000,
  3600000: 21_600_000,
}

interface Track {
  /** The start of the first step. */
  from: number
  admitted: number[]
  denied: number[]
}

/** One column of the chart. */
export interface Column {
  readonly at: number
  admitted: number
  denied: number
}

/** The steps of each limit. */
export class History {
  readonly #tracks = new Map<string, Track>()
  #stepMs = 1000
  #steps = 0
  #end = 0

  /** The names of the limits that it knows. */
  get names(): string[] {
    return [...this.#tracks.keys()]
  }

  get columnMs(): number {
    return COLUMN_MS[this.#stepMs] ?? this.#stepMs
  }

  /** Takes what the server sent; steps of one range do not fit another. */
  take({ isWhole, stepMs, steps, limits }: Snapshot['series'], at: number): void {
    if (isWhole || stepMs !== this.#stepMs) this.#tracks.clear()
    this.#stepMs = stepMs
    this.#steps = steps
    this.#end = Math.floor(at / stepMs) * stepMs + stepMs
    for (const one of limits) this.#merge(one)
  }

  /** The columns of one limit, or of all, oldest first and without gaps. */
  columns(limit: string | undefined): Column[] {
    const length = this.columnMs
    const last = Math.ceil(this.#end / length) * length
    const count = Math.ceil((this.#steps * this.#stepMs) / length)
    const first = last - count * length
    const columns = Array.from({ length: count }, (_, i): Column => {
      return { at: first + i * length, admitted: 0, denied: 0 }
    })
    for (const [name, track] of this.#tracks) {
      if (limit === undefined || name === limit) this.#add(track, columns, first)
    }
    return columns
  }

  #add({ from, admitted, denied }: Track, columns: Column[], first: number): void {
    for (let i = 0; i < admitted.length; i++) {
      const column = columns[Math.floor((from + i * this.#stepMs - first) / this.columnMs)]
      if (column === undefined) continue
      column.admitted += admitted[i] ?? 0
      column.denied += denied[i] ?? 0
    }
  }

  #merge(part: LimitSeries): void {
    const known = this.#tracks.get(part.limit)
    const span = this.#steps * this.#stepMs
    if (known === undefined || part.from - known.from > 2 * span || part.from < known.from) {
      const track = { from: part.from, admitted: [...part.admitted], denied: [...part.denied] }
      this.#tracks.set(part.limit, track)
      return
    }
    const offset = Math.round((part.from - known.from) / this.#stepMs)
    place(known.admitted, offset, part.admitted)
    place(known.denied, offset, part.denied)
    const surplus = Math.max(0, known.admitted.length - this.#steps)
    known.admitted.splice(0, surplus)
    known.denied.splice(0, surplus)
    known.from += surplus * this.#stepMs
  }
}

/** Writes values from an offset on; steps that were missed are zero. */
function place(into: number[], offset: number, values: readonly number[]): void {
  while (into.length < offset) into.push(0)
  for (const [i, value] of values.entries()) into[offset + i] = value
}
