import { isUint8Array } from 'node:util/types'
import { withTimeout } from '../limiter.ts'
import { StoreFailure, warnOnce } from './failure.ts'
import { CROWDED, type Guard, type GuardedCall } from './guard.ts'
import type { RemoteSettings } from './options.ts'
import type { Store, StoredValue } from './store.ts'

/** The longest pause before another attempt, in milliseconds. It grows with each that was lost. */
const MAX_PAUSE_MS = 8
/** After this a store that has not answered about a record is asked again. Callers do not wait for it. */
const STUCK_MS = 1_000
/** The latest time that the native steps take: the year 2248. */
const MAX_MS = 2 ** 43

/** A record while calls are decided about it. */
export interface OpenRecord {
  value: Uint8Array | undefined
  readonly nowMs: number
  /** 0: nothing was changed. */
  ttlMs: number
}

/** A call that waits for its record. */
interface Call {
  decide(record: OpenRecord): unknown
  /** Nothing is charged for a call that has settled: it was too late. */
  readonly guarded: GuardedCall
  resolve(answer: unknown): void
  reject(error: unknown): void
}

/** What {@link StoredRecords} are made from. */
export interface RecordParts {
  readonly store: Store
  readonly guard: Guard
  readonly options: Pick<RemoteSettings, 'deadlineMs'> & {
    readonly maxWaiters: number
    readonly maxWaitersPerKey: number
    readonly clock?: { now(): number } | undefined
  }
}

/**
 * Records in a store: gets a record, decides about all calls of this process that wait for it, and sets it if it has
 * changed. When another writer was faster, all of it again.
 */
export class StoredRecords {
  /** Calls that wait, by the name of their record, for as long as there are any. */
  readonly #waiting = new Map<string, Call[]>()
  #count = 0
  readonly #parts: RecordParts

  constructor(parts: RecordParts) {
    this.#parts = parts
  }

  /**
   * Has `decide` look at the record and change it.
   *
   * @param decide is called again if another writer was faster; never after the call has settled
   * @param since `performance.now()` from which the deadline counts. Default: now
   */
  call<Answer>(
    name: string,
    decide: (record: OpenRecord) => Answer,
    since?: number,
  ): Promise<Answer> {
    return this.#parts.guard.run(
      (_, guarded) =>
        new Promise<Answer>((resolve, reject) => {
          const answered = resolve as (answer: unknown) => void
          this.#enqueue(name, { decide, guarded, resolve: answered, reject })
        }),
      since,
    )
  }

  #enqueue(name: string, call: Call): void {
    const waiting = this.#waiting.get(name) ?? []
    const { maxWaiters, maxWaitersPerKey } = this.#parts.options
    if (this.#count >= maxWaiters || waiting.length >= maxWaitersPerKey) {
      call.reject(new StoreFailure('unavailable', CROWDED))
      return
    }
    this.#count++
    waiting.push(call)
    if (this.#waiting.has(name)) return
    this.#waiting.set(name, waiting)
    void this.#work(name, waiting)
  }

  /** Decides about the calls that wait for a record until there are none. */
  async #work(name: string, waiting: Call[]): Promise<void> {
    for (let lost = 0; waiting.some(({ guarded }) => !guarded.settled); ) {
      if (lost > 1) await pause(Math.random() * Math.min(lost, MAX_PAUSE_MS))
      lost = (await this.#attempt(name, waiting)) ? 0 : lost + 1
    }
    this.#take(waiting)
    this.#waiting.delete(name)
  }

  /** @returns false if another writer was faster: the calls wait for the next attempt */
  async #attempt(name: string, waiting: Call[]): Promise<boolean> {
    const { store } = this.#parts
    let decided: readonly (readonly [Call, unknown])[] = []
    try {
      const found = readFound(await this.#settled(() => store.get(name)))
      const nowMs = this.#parts.options.clock?.now() ?? found.nowMs ?? Date.now()
      const record: OpenRecord = { value: found.value, nowMs, ttlMs: 0 }
      decided = this.#take(waiting).flatMap((call) => decideAbout(call, record))
      const { value, ttlMs } = record
      const set = (): Promise<boolean> =>
        store.compareAndSet(name, value as Uint8Array, found.version, ttlMs)
      const isSet: unknown = ttlMs === 0 || (await this.#settled(set))
      // An answer that is no boolean, such as a number of rows, would be taken for a loss, and charged again.
      if (typeof isSet !== 'boolean') throw new StoreFailure('garbled')
      if (!isSet) {
        for (const [call] of decided) call.guarded.lateReason = 'contention'
        waiting.unshift(...decided.map(([call]) => call))
        this.#count += decided.length
        return false
      }
      for (const [call, answer] of decided) call.resolve(answer)
    } catch (error) {
      // Calls that came during a write that failed have another attempt.
      const failed = decided.length > 0 ? decided.map(([call]) => call) : this.#take(waiting)
      for (const call of failed) call.reject(error)
    }
    return true
  }

  #take(waiting: Call[]): readonly Call[] {
    this.#count -= waiting.length
    return waiting.splice(0)
  }

  /** What the store answers; it may also throw, or never settle. */
  #settled<T>(ask: () => Promise<T>): Promise<T> {
    const ms = Math.max(STUCK_MS, this.#parts.options.deadlineMs)
    const asked = new Promise<T>((resolve) => resolve(ask()))
    return withTimeout(asked, ms, () => new StoreFailure('timeout'))
  }
}

/**
 * Nothing for a call that is too late: it is not charged. Bytes that are no record are not taken for an absent one:
 * a store that garbles what it keeps would never deny.
 */
function decideAbout(call: Call, record: OpenRecord): readonly (readonly [Call, unknown])[] {
  if (call.guarded.settled) return []
  try {
    return [[call, call.decide(record)]]
  } catch (error) {
    const isDamaged = (error as { code?: unknown }).code === 'RECORD_DAMAGED'
    if (isDamaged) warnForeign()
    call.reject(isDamaged ? new StoreFailure('garbled', 'record') : error)
    return []
  }
}

/** Warns once: a record is not what this package wrote. */
export function warnForeign(): void {
  const message =
    'a store returned a value that this limiter did not write: another program uses its keys, or the store does ' +
    'not keep bytes as they are'
  warnOnce('RATETHROTTLE_FOREIGN_RECORD', message)
}

/** What the store has answered, checked: it may be written by anyone. */
function readFound(found: unknown): Partial<StoredValue<unknown>> {
  if (found === undefined || found === null) return {}
  const { value, version, nowMs } = found as Partial<StoredValue<unknown>>
  const isTime = typeof nowMs === 'number' && nowMs >= 0 && nowMs < MAX_MS
  const isValue = isUint8Array(value) && version !== undefined
  const isRead = value === undefined ? isTime : isValue && (isTime || nowMs === undefined)
  if (!isRead) throw new StoreFailure('garbled')
  return value === undefined ? { nowMs } : { value, version, nowMs }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
