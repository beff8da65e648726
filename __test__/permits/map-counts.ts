import type { PermitCounts } from '../../ts/permits/counts.ts'

/** Counts in a map: the slow twin of the native table. */
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
