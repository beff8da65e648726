import type { ConcurrencyReason } from '../errors.ts'

/** Where permits are counted: the native table, or in tests a map. */
export interface PermitCounts {
  /** A receipt (from 0 on) for a permit that is now held, or one of {@link REFUSALS}. */
  acquire(key: string): number
  /** Gives a permit back. A receipt is good for one call: the caller keeps track. */
  release(receipt: number): void
  /** How many permits the key holds, in all processes that share the counts. */
  held(key: string): number
  /** How many permits all keys hold together. */
  inUse(): number
  /** Keys that can hold permits at a time. */
  readonly capacity: number
  /** Gives back what processes held that were killed. Returns how many permits came free. */
  reap(): number
  close(): void
}

/** What `acquire` answers when there is no permit, and why. */
export const REFUSALS: Readonly<Record<number, ConcurrencyReason>> = {
  [-1]: 'perKey',
  [-2]: 'total',
  [-3]: 'capacity',
}

/** Counts in a map. Until the native table is there; afterwards the slow twin of its tests. */
export class MapCounts implements PermitCounts {
  readonly #perKey: number
  readonly #total: number
  readonly #held = new Map<string, number>()
  readonly #receipts = new Map<number, string>()
  #next = 0
  readonly capacity: number = Number.POSITIVE_INFINITY

  constructor(perKey: number, total: number) {
    this.#perKey = perKey
    this.#total = total
  }

  acquire(key: string): number {
    const held = this.held(key)
    if (held >= this.#perKey) return -1
    if (this.#receipts.size >= this.#total) return -2
    this.#held.set(key, held + 1)
    this.#receipts.set(this.#next, key)
    return this.#next++
  }

  release(receipt: number): void {
    const key = this.#receipts.get(receipt)
    if (key === undefined) return
    this.#receipts.delete(receipt)
    const held = this.held(key) - 1
    if (held === 0) this.#held.delete(key)
    else this.#held.set(key, held)
  }

  held(key: string): number {
    return this.#held.get(key) ?? 0
  }

  inUse(): number {
    return this.#receipts.size
  }

  reap(): number {
    return 0
  }

  close(): void {
    this.#held.clear()
    this.#receipts.clear()
  }
}
