/** What overlapped at most. */
export interface Most {
  /** Of one key. */
  readonly ofKey: number
  /** Of all keys together. */
  readonly ofAll: number
  /** For how much of the time as many were held as may be, of all keys: 0 to 1. */
  readonly fullPart: number
  /** How many keys had as many as may be at some time. */
  readonly fullKeys: number
}

/** Times in nanoseconds are told apart for months, beside this many keys. */
const KEYS = 64

/**
 * The times at which permits were held: how many overlap, of each key and in total.
 *
 * Keeps two numbers for each: when it begins and when it ends, with its key. Of what happens at one time ends count first.
 */
export class Overlap {
  #steps = new Float64Array(1_024)
  #size = 0
  #begin: number | undefined

  get permits(): number {
    return this.#size / 2
  }

  /** @param from in nanoseconds. A permit that ends before it begins is none. */
  add(key: number, from: number, to: number): void {
    if (to <= from) return
    this.#begin ??= from
    if (this.#size + 2 > this.#steps.length) {
      const longer = new Float64Array(this.#steps.length * 2)
      longer.set(this.#steps)
      this.#steps = longer
    }
    this.#steps[this.#size++] = this.#step(from, 1, key)
    this.#steps[this.#size++] = this.#step(to, 0, key)
  }

  most(perKey: number, total: number): Most {
    const steps = this.#steps.slice(0, this.#size).sort()
    const held = new Int32Array(KEYS)
    const full = new Set<number>()
    let [count, ofAll, ofKey, since, fullTime] = [0, 0, 0, 0, 0]
    for (const step of steps) {
      const { key, isBegin, time } = readStep(step)
      if (count >= total) fullTime += time - since
      since = time
      const by = isBegin ? 1 : -1
      count += by
      const own = (held[key] ?? 0) + by
      held[key] = own
      ofAll = Math.max(ofAll, count)
      ofKey = Math.max(ofKey, own)
      if (own >= perKey) full.add(key)
    }
    const first = steps.length === 0 ? 0 : readStep(steps[0] ?? 0).time
    return { ofKey, ofAll, fullPart: fullTime / (since - first || 1), fullKeys: full.size }
  }

  /** Numbers in the order of time, as floats hold them exactly. */
  #step(time: number, isBegin: 0 | 1, key: number): number {
    return ((time - (this.#begin ?? 0)) * 2 + isBegin) * KEYS + key
  }
}

function readStep(step: number): { key: number; isBegin: boolean; time: number } {
  // Some began before the one that was read first.
  const key = ((step % KEYS) + KEYS) % KEYS
  const rest = (step - key) / KEYS
  const isBegin = rest % 2 !== 0
  return { key, isBegin, time: (rest - (isBegin ? 1 : 0)) / 2 }
}
