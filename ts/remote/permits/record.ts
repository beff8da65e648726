import { withCode } from '../../validate.ts'
import type { OpenRecord } from '../stored-records.ts'

/** A record begins with this: it tells records of permits from those of counters. */
const MARK = 'permits 1\n'
/** Numbers are written with this base: short. */
const BASE = 36
/** A record in which no permit is left means nothing: the store may drop it. */
const EMPTY_TTL_MS = 1

/**
 * The leases of one record in a store: `permits 1` and then lines of a permit's name and when its lease ends, in
 * milliseconds.
 */
export class LeaseRecord {
  readonly #record: OpenRecord
  readonly #leases: Map<string, number>

  /** @throws Error with code RECORD_DAMAGED for bytes that are no record of permits */
  constructor(record: OpenRecord) {
    this.#record = record
    this.#leases = read(record)
  }

  /** How many permits are held. */
  get size(): number {
    return this.#leases.size
  }

  /** Takes a lease, or prolongs it. @returns false if as many are held as may be */
  take(id: string, most: number, leaseMs: number): boolean {
    if (!this.#leases.has(id) && this.size >= most) return false
    this.#leases.set(id, this.#record.nowMs + leaseMs)
    return true
  }

  remove(id: string): void {
    this.#leases.delete(id)
  }

  /** Has the record written. */
  save(): void {
    const { nowMs } = this.#record
    const lines = [...this.#leases].map(([id, until]) => `${id} ${until.toString(BASE)}\n`)
    this.#record.value = Buffer.from(`${MARK}${lines.join('')}`)
    const last = Math.max(nowMs + EMPTY_TTL_MS, ...this.#leases.values())
    this.#record.ttlMs = Math.ceil(last - nowMs)
  }
}

/** The leases that have not ended. */
function read({ value, nowMs }: OpenRecord): Map<string, number> {
  const leases = new Map<string, number>()
  if (value === undefined) return leases
  const text = Buffer.from(value).toString('latin1')
  if (!text.startsWith(MARK)) throw damaged()
  for (const line of text.slice(MARK.length).split('\n')) {
    if (line === '') continue
    const [id = '', written = ''] = line.split(' ')
    const until = Number.parseInt(written, BASE)
    if (id === '' || !Number.isSafeInteger(until)) throw damaged()
    if (until > nowMs) leases.set(id, until)
  }
  return leases
}

function damaged(): Error {
  return withCode(new Error('not a record of permits'), 'RECORD_DAMAGED')
}
