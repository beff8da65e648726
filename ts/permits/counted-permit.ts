import type { Entry } from '../wait-queue/heap.ts'
import type { PermitCounts } from './counts.ts'
import type { Permit } from './types.ts'

/** Where a permit goes back to. */
export interface Desk {
  readonly counts: PermitCounts
  /** A permit of this key has come free. */
  released(key: string): void
  isClosed: boolean
}

/** A permit that is counted in this process or on this host. */
export class CountedPermit implements Permit {
  readonly #desk: Desk
  readonly #key: string
  #receipt: number

  constructor(desk: Desk, key: string, receipt: number) {
    this.#desk = desk
    this.#key = key
    this.#receipt = receipt
  }

  get isLost(): boolean {
    return this.#receipt >= 0 && this.#desk.isClosed
  }

  release(): void {
    const receipt = this.#receipt
    const desk = this.#desk
    // What was out when the limiter was closed has ended with it, and stays lost.
    if (receipt < 0 || desk.isClosed) return
    this.#receipt = -1
    desk.counts.release(receipt)
    desk.released(this.#key)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/** One that ends by itself. As an {@link Entry}: when. */
export class TimedPermit extends CountedPermit implements Entry {
  at = 0
  place = -1
  #hasEnded = false
  readonly #done: (permit: TimedPermit) => void

  /** @param done called once, when it is released or its time is over */
  constructor(desk: Desk, key: string, receipt: number, done: (permit: TimedPermit) => void) {
    super(desk, key, receipt)
    this.#done = done
  }

  override get isLost(): boolean {
    return this.#hasEnded || super.isLost
  }

  /** Its time is over. */
  end(): void {
    this.#hasEnded = true
    super.release()
  }

  override release(): void {
    this.#done(this)
    super.release()
  }
}
