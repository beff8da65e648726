import { type NativePermits, openPermits, openWatched } from '../native/binding.ts'
import type { PermitCounts } from './counts.ts'
import type { ConcurrencyLimits } from './types.ts'

/** Where native permits are counted. */
export interface NativePlace {
  /** Limiters of this name share their permits. */
  readonly name?: string | undefined
  /** Whether all processes of this user on this host do. Needs a name. */
  readonly shared?: boolean | undefined
  /** Most keys that hold permits at a time. */
  readonly capacity?: number | undefined
}

/** Keys that hold permits at a time and are hardly ever refused for want of room. In a file that processes share, they take 8 MB. */
const DEFAULT_CAPACITY = 10_000

const SUBJECT = { noun: 'concurrency limiter', settings: 'perKey, total or capacity' }
const NO_ROOM = -3

/** Counts in the native table: of this thread, of all threads, or of all processes that share the name. */
export class NativeCounts implements PermitCounts {
  readonly capacity: number
  readonly #native: NativePermits
  readonly #small: Int32Array
  readonly #close: () => void

  /** @throws Error with a code if the name is in use with other limits, or there is no shared memory */
  constructor({ perKey = 0, total = 0 }: ConcurrencyLimits, place: NativePlace = {}) {
    const { name, shared = false, capacity = DEFAULT_CAPACITY } = place
    const opened = openWatched(
      openPermits,
      { perKey, total, capacity },
      { name, shared, onMismatch: 'error', subject: SUBJECT },
      () => this,
      () => {},
    )
    this.capacity = capacity
    this.#native = opened.native
    this.#small = opened.native.small
    this.#close = opened.close
  }

  acquire(key: string): number {
    this.#native.acquire(key)
    return this.#small[0] ?? NO_ROOM
  }

  release(receipt: number): void {
    this.#native.release(receipt)
  }

  held(key: string): number {
    this.#native.held(key)
    return this.#first()
  }

  inUse(): number {
    this.#native.state()
    return this.#first()
  }

  reap(): number {
    this.#native.reap()
    return this.#first()
  }

  close(): void {
    this.#close()
  }

  #first(): number {
    return this.#native.wide[0] ?? 0
  }
}
