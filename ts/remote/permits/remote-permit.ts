import type { Permit } from '../../permits/types.ts'
import type { Entry } from '../../wait-queue/heap.ts'
import type { Lease } from './backend.ts'

const NEVER: number = Number.POSITIVE_INFINITY

/** Where a permit goes back to. */
export interface PermitOwner {
  /** Called once, by the first `release`. */
  released(permit: RemotePermit): void
}

/** A permit whose lease is in a store. As an {@link Entry}: when it has been held for as long as it may be. */
export class RemotePermit implements Permit, Lease, Entry {
  at = 0
  place = -1
  readonly #owner: PermitOwner
  readonly #key: string
  readonly #id: string
  #isReleased = false
  #isLost = false
  #wasSent = false
  #isLeased = false
  /** `performance.now()` when its lease ends at the earliest. */
  #until = NEVER
  /** `performance.now()` when the store was last asked for it and has said that it is held. */
  renewedAt = 0

  constructor(owner: PermitOwner, key: string, id: string) {
    this.#owner = owner
    this.#key = key
    this.#id = id
  }

  get key(): string {
    return this.#key
  }

  get id(): string {
    return this.#id
  }

  get isReleased(): boolean {
    return this.#isReleased
  }

  /** Whether the store may know of it. */
  get wasSent(): boolean {
    return this.#wasSent
  }

  /** Whether the store knows of it. One that was given out while the store was away is not leased. */
  get isLeased(): boolean {
    return this.#isLeased
  }

  get isLost(): boolean {
    return this.#isLost || (!this.#isReleased && performance.now() > this.#until)
  }

  /** The store is asked about it. */
  sent(): void {
    this.#wasSent = true
  }

  /** The store has said that it is held until then. */
  leased(sentAt: number, ms: number): void {
    this.#isLeased = true
    this.#until = sentAt + ms
    this.renewedAt = sentAt
  }

  /** Another may have its place. */
  lose(): void {
    this.#isLost = true
  }

  release(): void {
    if (this.#isReleased) return
    this.#isLost = this.isLost
    this.#isReleased = true
    this.#owner.released(this)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
