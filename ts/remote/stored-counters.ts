import { isUint8Array } from 'node:util/types'
import { type Decision, readDecision } from '../decision.ts'
import { columnsOf, type Limit } from '../limit/limit.ts'
import { withTimeout } from '../limiter.ts'
import { type NativeStored, openStored } from '../native/binding.ts'
import { type ChargeMode, type Counters, storeDecision } from './backend.ts'
import { StoreFailure, warnOnce } from './failure.ts'
import { CROWDED, type Guard, type GuardedCall } from './guard.ts'
import type { ResolvedRemoteOptions } from './options.ts'
import type { Store, StoredValue } from './store.ts'

/** Where the numbers of a step stand in its `outcome`; see `crate/napi/src/stored.rs`. */
const [ALLOWED, TTL_MS, IS_FOREIGN, BLOCKED_MS, STATUSES] = [0, 1, 2, 3, 4] as const
/** The longest pause before another attempt, in milliseconds. It grows with each that was lost. */
const MAX_PAUSE_MS = 8
/** After this a store that has not answered about a record is asked again. Callers do not wait for it. */
const STUCK_MS = 1_000
/** The latest time that the native steps take: the year 2248. */
const MAX_MS = 2 ** 43

/** The native steps for records of these limits. */
export function openSteps(limits: readonly Limit[], options: ResolvedRemoteOptions): NativeStored {
  const { algorithm, blockForMs } = options
  return openStored({ ...columnsOf(limits), algorithm, blockForMs, capacity: 1 })
}

/** A record while calls are decided about it. */
interface OpenRecord {
  value: Uint8Array | undefined
  readonly nowMs: number
  /** 0: nothing was changed. */
  ttlMs: number
}

type Operation = 'check' | 'take' | 'pace' | 'peek' | 'refund' | 'reset' | 'block'

/** A call that waits for the record of its key. */
interface Call {
  decide(record: OpenRecord): Decision
  /** Nothing is charged for a call that has settled: it was too late. */
  readonly guarded: GuardedCall
  resolve(decision: Decision): void
  reject(error: unknown): void
}

/** What {@link StoredCounters} are made from. */
interface Parts {
  readonly store: Store
  readonly native: NativeStored
  readonly nameOf: (key: string) => string
  readonly guard: Guard
}

/**
 * Counters whose state is a record in a store: gets the record, decides by the native steps about all calls of this
 * process that wait for it, and sets it if it has changed. When another writer was faster, all of it again.
 */
export class StoredCounters implements Counters {
  /** Calls that wait, by the name of their record, for as long as there are any. */
  readonly #waiting = new Map<string, Call[]>()
  #count = 0

  constructor(
    private readonly limits: readonly Limit[],
    private readonly options: ResolvedRemoteOptions,
    private readonly parts: Parts,
  ) {}

  charge(key: string, cost: number, mode: ChargeMode, since?: number): Promise<Decision> {
    return this.#ask(key, mode === 'paced' ? 'pace' : mode, cost, since)
  }

  acquire(key: string, least: number, most: number, since: number): Promise<Decision> {
    const decide = (record: OpenRecord): Decision => {
      const { allowed, remaining } = this.#step(record, 'peek', least)
      return this.#step(record, 'check', allowed ? Math.min(most, remaining) : least)
    }
    return this.#call(key, decide, since)
  }

  peek(key: string, cost: number): Promise<Decision> {
    return this.#ask(key, 'peek', cost)
  }

  refund(key: string, units: number): Promise<unknown> {
    return this.#ask(key, 'refund', units)
  }

  block(key: string, ms: number): Promise<unknown> {
    return this.#ask(key, 'block', ms)
  }

  reset(key: string): Promise<unknown> {
    return this.#ask(key, 'reset', 0)
  }

  #ask(key: string, operation: Operation, amount: number, since?: number): Promise<Decision> {
    return this.#call(key, (record) => this.#step(record, operation, amount), since)
  }

  #call(key: string, decide: Call['decide'], since?: number): Promise<Decision> {
    const { guard, nameOf } = this.parts
    return guard.run(
      (_, guarded) =>
        new Promise((resolve, reject) => {
          this.#enqueue(nameOf(key), { decide, guarded, resolve, reject })
        }),
      since,
    )
  }

  #enqueue(name: string, call: Call): void {
    const waiting = this.#waiting.get(name) ?? []
    const { maxWaiters, maxWaitersPerKey } = this.options
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
    const { store } = this.parts
    let decided: readonly (readonly [Call, Decision])[] = []
    try {
      const found = readFound(await this.#settled(() => store.get(name)))
      const nowMs = this.options.clock?.now() ?? found.nowMs ?? Date.now()
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
      for (const [call, decision] of decided) call.resolve(decision)
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
    const ms = Math.max(STUCK_MS, this.options.deadlineMs)
    const asked = new Promise<T>((resolve) => resolve(ask()))
    return withTimeout(asked, ms, () => new StoreFailure('timeout'))
  }

  #step(record: OpenRecord, operation: Operation, amount: number): Decision {
    const { native } = this.parts
    const written = native[operation](record.value, amount, record.nowMs)
    const { outcome } = native
    const numberAt = (place: number): number => outcome[place] as number
    if (numberAt(IS_FOREIGN) === 1) warnForeign()
    if (written !== undefined) {
      record.value = written
      record.ttlMs = numberAt(TTL_MS)
    }
    const statuses = this.limits.map((_, index) => ({
      remaining: numberAt(STATUSES + 2 * index),
      moreMs: numberAt(STATUSES + 2 * index + 1),
    }))
    const decision = readDecision(numberAt(ALLOWED) === 1, native)
    const charged = decision.allowed ? Math.max(1, amount) : 0
    return storeDecision(decision, this.limits, {
      statuses,
      charged,
      blockMs: numberAt(BLOCKED_MS),
    })
  }
}

/**
 * Nothing for a call that is too late: it is not charged. Bytes that are no record are not taken for an absent one:
 * a store that garbles what it keeps would never deny.
 */
function decideAbout(call: Call, record: OpenRecord): readonly (readonly [Call, Decision])[] {
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

function warnForeign(): void {
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
