import { closeSync, openSync, readSync } from 'node:fs'
import type { Overlap } from './overlap.ts'

/** As `diary.mjs` writes them. */
const [TAKEN, LOST, REFUSED, WAITED] = [0, 2, 3, 4] as const
const [KINDS, KEYS, WIDTH] = [8, 1_024, 3]
const EVENT_BYTES = WIDTH * 8

/**
 * A lease is this much longer than a process may count on: the store counts in whole milliseconds, and the clock of its
 * leases is not that of the diaries.
 */
const MARGIN_NS = 5e6

/** A process stood still: it was seen to after `from`, and went on after `to`, both in nanoseconds. */
export interface Pause {
  readonly from: number
  readonly to: number
}

/** What the diaries of a storm say together. */
export interface Tally {
  taken: number
  released: number
  /** Permits whose holder was told that they were lost. */
  lost: number
  /** Those of them whose process stood still for longer than a lease meanwhile. */
  lostInPause: number
  /** Refusals that the store decided, or the table. */
  refused: number
  /** Callers that had their permit after a wait. */
  waited: number
  /** Permits that were held for longer than a lease. */
  outlasted: number
  /** Permits of those who were paused for longer than a lease, and were not told that they were lost. */
  unnoticed: number
}

export function newTally(): Tally {
  const steps = { taken: 0, released: 0, refused: 0 }
  return { ...steps, waited: 0, lost: 0, lostInPause: 0, outlasted: 0, unnoticed: 0 }
}

interface Open {
  readonly key: number
  readonly since: number
  readonly at: number
}

/** Reads the diary of one thread while it is written. */
export class DiaryReader {
  readonly #file: number
  readonly #leaseNs: number
  readonly #pauses: readonly Pause[]
  readonly #open = new Map<number, Open>()
  readonly #events = new Float64Array(WIDTH * 4_096)
  readonly #bytes = new Uint8Array(this.#events.buffer)
  #offset = 0
  #lastAt = 0

  /**
   * @param leaseMs how long a permit counts without its process; infinite where it counts as long as the process lives
   * @param pauses those of its process: one is in it before the process goes on
   */
  constructor(path: string, leaseMs: number, pauses: readonly Pause[]) {
    this.#file = openSync(path, 'r')
    this.#leaseNs = leaseMs * 1e6
    this.#pauses = pauses
  }

  /** Reads what has been written since. An event that a kill has cut off is none. */
  read(overlap: Overlap, tally: Tally): void {
    for (;;) {
      const read = readSync(this.#file, this.#bytes, 0, this.#bytes.length, this.#offset)
      const events = Math.floor(read / EVENT_BYTES)
      if (events === 0) return
      this.#offset += events * EVENT_BYTES
      for (let i = 0; i < events * WIDTH; i += WIDTH) {
        const [word = 0, since = 0, at = 0] = this.#events.subarray(i, i + WIDTH)
        this.#event(word, since, at, overlap, tally)
      }
    }
  }

  /**
   * The process was killed, or the thread has ended. Its permits were held until it was last heard of: a release is written
   * down before it is sent, events are in the order of their times, so one that was lost with the process came later.
   */
  end(overlap: Overlap, tally: Tally): void {
    this.read(overlap, tally)
    for (const { key, since, at } of this.#open.values()) {
      overlap.add(key, at, Math.min(this.#lastAt, since + this.#leaseNs - MARGIN_NS))
    }
    this.#open.clear()
    closeSync(this.#file)
  }

  #event(word: number, since: number, at: number, overlap: Overlap, tally: Tally): void {
    const kind = word % KINDS
    if (kind === REFUSED) tally.refused += since
    else if (kind === WAITED) tally.waited += since
    else {
      this.#lastAt = at
      const rest = Math.floor(word / KINDS)
      const caller = Math.floor(rest / KEYS)
      if (kind === TAKEN) {
        tally.taken++
        this.#open.set(caller, { key: rest % KEYS, since, at })
        return
      }
      const open = this.#open.get(caller)
      if (open === undefined) throw new RangeError('a permit ends that did not begin')
      this.#open.delete(caller)
      this.#ended(open, kind === LOST, at, overlap, tally)
    }
  }

  #ended(open: Open, isLost: boolean, at: number, overlap: Overlap, tally: Tally): void {
    tally.released++
    const wasPaused = this.#pauses.some(({ from, to }) => open.at < from && at > to)
    if (isLost) {
      tally.lost++
      if (wasPaused) tally.lostInPause++
    } else if (wasPaused) tally.unnoticed++
    if (!isLost && at - open.at > this.#leaseNs) tally.outlasted++
    // What was lost was the caller's for a lease at least: the store was asked after `since`.
    const until = isLost ? Math.min(at, open.since + this.#leaseNs - MARGIN_NS) : at
    overlap.add(open.key, open.at, until)
  }
}
