import { randomInt } from 'node:crypto'

/** Places that a key may have: each row of the table has this many. */
const WAYS = 16

/**
 * Counts for each key, in a table that never grows. Finds a key by its bytes, and makes a text of it only when it is
 * new. A key for which there is no place takes that of the one in its row that was refused least.
 */
export class KeyTable {
  /** The bytes of each key, as characters of Latin-1. */
  readonly keys: (string | undefined)[]
  readonly requests: Uint32Array
  /** Refused requests of each key: first all keys under the first limit, then all under the second. */
  readonly refused: Uint32Array
  /** The minute of the last request, the requests in it, and the most in any minute. */
  readonly minute: Int32Array
  readonly inMinute: Uint32Array
  readonly peak: Uint32Array
  /** Keys that gave their places to others. */
  forgotten = 0
  readonly slots: number
  readonly #trials: number
  readonly #hashes: Int32Array
  readonly #shift: number
  /** Not known to who writes the log, and so neither which keys share a row. */
  readonly #seed: number = randomInt(2 ** 32)
  readonly #onForget: (peak: number) => void
  #scratch: Buffer = Buffer.allocUnsafe(256)

  /**
   * @param slots a power of two, from 32 on
   * @param trials how many limits are tried
   * @param onForget called with the highest minute of each key that is forgotten
   */
  constructor(slots: number, trials: number, onForget: (peak: number) => void = () => {}) {
    this.slots = slots
    this.#trials = trials
    this.#onForget = onForget
    this.keys = new Array(slots).fill(undefined)
    this.requests = new Uint32Array(slots)
    this.refused = new Uint32Array(slots * trials)
    this.minute = new Int32Array(slots)
    this.inMinute = new Uint32Array(slots)
    this.peak = new Uint32Array(slots)
    this.#hashes = new Int32Array(slots)
    this.#shift = 32 - Math.log2(slots / WAYS)
  }

  /** The place of a key, which it is given now if it is new; -1 if no place is free. */
  find(bytes: Buffer, from: number, to: number): number {
    const hash = this.#hash(bytes, from, to)
    const first = (hash >>> this.#shift) * WAYS
    for (let slot = first; slot < first + WAYS; slot++) {
      const there = this.#hashes[slot]
      if (there === hash && isSame(this.keys[slot] as string, bytes, from, to)) return slot
      if (there === 0) return this.#settle(slot, hash, bytes.toString('latin1', from, to))
    }
    return -1
  }

  /** The place of a key that was at `slot` when it was found; if it has none, it takes that of another. */
  again(slot: number, key: string): number {
    if (this.keys[slot] === key) return slot
    if (key.length > this.#scratch.length) this.#scratch = Buffer.allocUnsafe(key.length)
    const length = this.#scratch.write(key, 0, 'latin1')
    const found = this.find(this.#scratch, 0, length)
    if (found >= 0) return found
    const hash = this.#hash(this.#scratch, 0, length)
    const least = this.#leastOf((hash >>> this.#shift) * WAYS)
    this.#forget(least)
    return this.#settle(least, hash, key)
  }

  /** Counts a request, and how many there were in its minute. */
  count(slot: number, minute: number): void {
    this.requests[slot] = (this.requests[slot] as number) + 1
    const isNew = this.minute[slot] !== minute
    const inMinute = isNew ? 1 : (this.inMinute[slot] as number) + 1
    this.minute[slot] = minute
    this.inMinute[slot] = inMinute
    if (inMinute > (this.peak[slot] as number)) this.peak[slot] = inMinute
  }

  /** Counts a refused request under one of the limits. Whether it is the key's first. */
  refuse(slot: number, trial: number): boolean {
    const at = trial * this.slots + slot
    const before = this.refused[at] as number
    this.refused[at] = before + 1
    return before === 0
  }

  refusedOf(slot: number, trial: number): number {
    return this.refused[trial * this.slots + slot] as number
  }

  #settle(slot: number, hash: number, key: string): number {
    this.#hashes[slot] = hash
    this.keys[slot] = key
    return slot
  }

  #leastOf(first: number): number {
    let least = first
    for (let slot = first + 1; slot < first + WAYS; slot++) {
      if (this.#isLess(slot, least)) least = slot
    }
    return least
  }

  #isLess(slot: number, other: number): boolean {
    for (let trial = 0; trial < this.#trials; trial++) {
      const difference = this.refusedOf(slot, trial) - this.refusedOf(other, trial)
      if (difference !== 0) return difference < 0
    }
    return (this.requests[slot] as number) < (this.requests[other] as number)
  }

  #forget(slot: number): void {
    if (this.requests[slot] !== 0) {
      this.forgotten++
      this.#onForget(this.peak[slot] as number)
    }
    this.requests[slot] = this.minute[slot] = this.inMinute[slot] = this.peak[slot] = 0
    for (let trial = 0; trial < this.#trials; trial++) this.refused[trial * this.slots + slot] = 0
  }

  /** Never 0, which marks a free place. */
  #hash(bytes: Buffer, from: number, to: number): number {
    let hash = this.#seed | 0
    for (let at = from; at < to; at++) {
      hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return hash ^ (hash >>> 16) || 1
  }
}

function isSame(key: string, bytes: Buffer, from: number, to: number): boolean {
  if (key.length !== to - from) return false
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) !== bytes[from + i]) return false
  return true
}
