import { between, type Certain, certainOf, idOf } from '../recent-keys.ts'
import type { Report, TopKey } from '../types.ts'
import type { KeyRow } from './client/snapshot.ts'

interface Reading {
  readonly at: number
  readonly asked: Certain
  readonly denied: Certain
}

const MINUTE_MS = 60_000
/** Readings are kept so far apart: what is called a minute is at most this much longer. */
const EVERY_MS = 5_000

/** What keys did in the last minute: the difference to a reading of a minute ago, or of when the page was opened. */
export class LastMinute {
  #readings: Reading[] = []

  /** The rows of both tables, those that came most in the last minute first. */
  rows({ asked, denied }: Report['top'], now: number): { asked: KeyRow[]; denied: KeyRow[] } {
    const later = { at: now, asked: certainOf(asked), denied: certainOf(denied) }
    const earlier = this.#earlier(now)
    const newest = this.#readings.at(-1)
    if (newest === undefined || now - newest.at >= EVERY_MS) this.#readings.push(later)
    return {
      asked: rowsOf(asked, earlier?.asked, later.asked),
      denied: rowsOf(denied, earlier?.denied, later.denied),
    }
  }

  /** The newest reading that is a minute old, or else the oldest: none that is much older, as after a pause. */
  #earlier(now: number): Reading | undefined {
    const isOver = ({ at }: Reading): boolean => now - at >= MINUTE_MS
    const last = this.#readings.findLastIndex(isOver)
    const kept = this.#readings.slice(Math.max(0, last))
    this.#readings = kept.filter(({ at }) => now - at <= MINUTE_MS + EVERY_MS * 2)
    return this.#readings[0]
  }
}

function rowsOf(keys: readonly TopKey[], earlier: Certain | undefined, later: Certain): KeyRow[] {
  if (earlier === undefined) return keys.map((one) => ({ ...one, lastMinute: undefined }))
  const grown = new Map(between(earlier, later).map((one) => [idOf(one), one.count]))
  const seen = new Set<string>()
  const rows = keys.map((one) => {
    const id = idOf(one)
    // Of keys that are shown alike it is not known which one came: the first line has what all of them did.
    const lastMinute = seen.has(id) ? undefined : (grown.get(id) ?? 0)
    seen.add(id)
    return { ...one, lastMinute }
  })
  return rows.sort((a, b) => (b.lastMinute ?? 0) - (a.lastMinute ?? 0))
}
