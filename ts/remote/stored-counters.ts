import { type Decision, readDecision } from '../decision.ts'
import { columnsOf, type Limit } from '../limit/limit.ts'
import { type NativeStored, openStored } from '../native/binding.ts'
import { type ChargeMode, type Counters, storeDecision } from './backend.ts'
import type { Guard } from './guard.ts'
import type { ResolvedRemoteOptions } from './options.ts'
import type { Store } from './store.ts'
import { type OpenRecord, StoredRecords, warnForeign } from './stored-records.ts'

/** Where the numbers of a step stand in its `outcome`; see `crate/napi/src/stored.rs`. */
const [ALLOWED, TTL_MS, IS_FOREIGN, BLOCKED_MS, STATUSES] = [0, 1, 2, 3, 4] as const
/** The native steps for records of these limits. */
export function openSteps(limits: readonly Limit[], options: ResolvedRemoteOptions): NativeStored {
  const { algorithm, blockForMs } = options
  return openStored({ ...columnsOf(limits), algorithm, blockForMs, capacity: 1 })
}

type Operation = 'check' | 'take' | 'pace' | 'peek' | 'refund' | 'reset' | 'block'

/** What {@link StoredCounters} are made from. */
interface Parts {
  readonly store: Store
  readonly native: NativeStored
  readonly nameOf: (key: string) => string
  readonly guard: Guard
}

/** Counters whose state is a record in a store: the native steps decide about it. */
export class StoredCounters implements Counters {
  readonly #records: StoredRecords

  constructor(
    private readonly limits: readonly Limit[],
    options: ResolvedRemoteOptions,
    private readonly parts: Parts,
  ) {
    this.#records = new StoredRecords({ ...parts, options })
  }

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

  #call(key: string, decide: (record: OpenRecord) => Decision, since?: number): Promise<Decision> {
    return this.#records.call(this.parts.nameOf(key), decide, since)
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
