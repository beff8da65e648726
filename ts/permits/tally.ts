import {
  type CountedLimiter,
  type InsightInput,
  keepCounter,
  type LimitCounter,
} from '../counting.ts'
import { permitDenial } from '../errors.ts'
import { type Permit, PermitRefused } from './types.ts'

/** Where an insight counts the permits: beside the limiter of the same name, which has a row of its own. */
interface Place {
  readonly insight: InsightInput | undefined
  readonly name: string | undefined
  readonly tier: CountedLimiter['tier']
}

/** Ends the name of the row that an insight has for permits. */
export const ROW = 'concurrent'

/** What has become of callers who asked for a permit: for `stats()`, and for an insight. */
export class PermitTally {
  admitted = 0
  refused = 0
  timedOut = 0
  lost = 0
  readonly #counter: LimitCounter | undefined

  /** @param limiter what counts here */
  constructor(limiter: object, { insight, name, tier }: Place) {
    const about = { limits: undefined, algorithm: ROW, tier }
    this.#counter = insight?.counter({ name: rowOf(insight, name), ...about })
    keepCounter(limiter, this.#counter)
  }

  /** A caller gets this outcome. Each comes by here once. */
  note<Outcome extends Permit | PermitRefused>(key: string, outcome: Outcome): Outcome {
    const isAdmitted = !(outcome instanceof PermitRefused)
    if (isAdmitted) this.admitted++
    else this.refused++
    this.#counter?.decided(key, isAdmitted ? ADMITTED : permitDenial(outcome.limit))
    return outcome
  }

  queued(change: 1 | -1): void {
    this.#counter?.queued?.(change)
  }

  waited(ms: number): void {
    this.#counter?.waited(ms)
  }

  gaveUp(key: string): void {
    this.#counter?.gaveUp(key)
  }

  /** How long a store took to answer, in milliseconds. */
  storeTook(ms: number): void {
    this.#counter?.storeTook(ms)
  }

  /** Something decided in place of the store. */
  withoutStore(): void {
    this.#counter?.withoutStore()
  }

  close(): void {
    this.#counter?.close()
  }
}

/** Limiters without a name, of each insight. */
const unnamed = new WeakMap<InsightInput, number>()

/** Limiters without a name have rows of their own: `concurrent`, `concurrent 2` and so on, in the order in which they are made. */
function rowOf(insight: InsightInput, name: string | undefined): string {
  if (name !== undefined) return `${name} ${ROW}`
  const count = (unnamed.get(insight) ?? 0) + 1
  unnamed.set(insight, count)
  return count === 1 ? ROW : `${ROW} ${count}`
}

const ADMITTED = { ...permitDenial(0), allowed: true, retryAfterMs: 0, retryAfter: 0 }
