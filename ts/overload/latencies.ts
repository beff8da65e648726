/** Kept of one tick: a tenth of the newest ones is as good as a tenth of all. */
const KEPT = 128
/** Of fewer the fastest tenth says nothing. */
const FEWEST = 4

/** The latencies of one tick, however many there are. */
export class Latencies {
  readonly #kept = new Float64Array(KEPT)
  #count = 0

  add(ms: number): void {
    this.#kept[this.#count % KEPT] = ms
    this.#count++
  }

  /** What the fastest tenth took at most, of those since the last call. `undefined` if there are too few. */
  takeFastest(): number | undefined {
    if (this.#count < FEWEST) return undefined
    const found = this.#kept.slice(0, Math.min(this.#count, KEPT)).sort()
    this.#count = 0
    return found[Math.floor(found.length / 10)]
  }
}
