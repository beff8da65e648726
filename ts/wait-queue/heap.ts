/** What a {@link Heap} keeps. */
export interface Entry {
  /** The number that it is ordered by, such as when it falls due. Set by the heap. */
  at: number
  /** Where it is in the heap; -1 when it is in none. Set by the heap. */
  place: number
}

/** A binary heap in which each entry knows its place: one of ten thousand is removed in 14 steps. */
export class Heap<E extends Entry> {
  readonly #entries: E[] = []

  /** The entry with the smallest number. */
  get first(): E | undefined {
    return this.#entries[0]
  }

  /** Adds an entry that is in no heap. */
  put(entry: E, at: number): void {
    entry.at = at
    entry.place = this.#entries.length
    this.#entries.push(entry)
    this.#rise(entry)
  }

  /** Removes an entry, if it is in the heap. */
  remove(entry: E): void {
    const { place } = entry
    if (place < 0) return
    const last = this.#entries.pop() as E
    if (last !== entry) {
      this.#move(last, place)
      this.#sink(last)
      this.#rise(last)
    }
    entry.place = -1
  }

  #rise(entry: E): void {
    while (entry.place > 0) {
      const above = this.#entries[(entry.place - 1) >> 1] as E
      if (above.at <= entry.at) return
      const { place } = above
      this.#move(above, entry.place)
      this.#move(entry, place)
    }
  }

  #sink(entry: E): void {
    for (;;) {
      const left = this.#entries[2 * entry.place + 1]
      const right = this.#entries[2 * entry.place + 2]
      const sooner = right !== undefined && left !== undefined && right.at < left.at ? right : left
      if (sooner === undefined || sooner.at >= entry.at) return
      const { place } = sooner
      this.#move(sooner, entry.place)
      this.#move(entry, place)
    }
  }

  #move(entry: E, place: number): void {
    this.#entries[place] = entry
    entry.place = place
  }
}
