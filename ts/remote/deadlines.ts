/** A call whose caller waits for an answer. */
export interface Waiting {
  /** Whether the caller has its answer, or a failure. */
  settled: boolean
  /** `performance.now()` at which its time is up. */
  readonly dueAt: number
  /** Settles the call: time is up. */
  expire(): void
  /** Settles the call: its limiter is closed. That says nothing about the store. */
  cutOff(): void
}

/** Places of settled calls at the front of the list that are kept before they are removed. */
const MAX_SETTLED = 256
/** A place of a settled call. It must not keep the call alive: garbage is cheap only while it is young. */
const SETTLED: Waiting = { settled: true, dueAt: 0, expire: () => {}, cutOff: () => {} }

/**
 * Deadlines that are all equally far away, so that the one set first is due first: one timer for all calls, and
 * next to no cost for each.
 */
export class Deadlines {
  readonly #calls: Waiting[] = []
  /** Index of the first call that may not be settled. */
  #first = 0
  #timer: NodeJS.Timeout | undefined
  /** `performance.now()` by which the timer fires. A timer for a call that has settled is left to wake once. */
  #firesAt = 0

  /** @param ms milliseconds from the start of a call */
  constructor(readonly ms: number) {}

  /**
   * @param call due after `ms` from now, or a little earlier
   * @param now `performance.now()`
   */
  add(call: Waiting, now: number): void {
    this.#removeSettled()
    const { dueAt } = call
    let place = this.#calls.length
    while (place > this.#first && (this.#calls[place - 1] as Waiting).dueAt > dueAt) place--
    if (place === this.#calls.length) this.#calls.push(call)
    else this.#calls.splice(place, 0, call)
    if (this.#timer !== undefined && this.#firesAt <= dueAt) return
    clearTimeout(this.#timer)
    this.#arm(Math.max(0, dueAt - now), now)
  }

  /** Settles every call: the limiter is closed. */
  cutOff(): void {
    for (const call of this.#calls.splice(0)) if (!call.settled) call.cutOff()
    this.#first = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** If the event loop was held up, answers lie unread in the socket when the timer fires. They are read first. */
  readonly #wake = (): void => {
    setImmediate(this.#expireDue)
  }

  readonly #expireDue = (): void => {
    this.#timer = undefined
    const now = performance.now()
    while (this.#first < this.#calls.length) {
      const call = this.#calls[this.#first] as Waiting
      const leftMs = call.dueAt - now
      if (!call.settled && leftMs > 0) {
        this.#arm(leftMs, now)
        break
      }
      this.#calls[this.#first++] = SETTLED
      if (!call.settled) call.expire()
    }
    this.#removeSettled()
  }

  #arm(ms: number, now: number): void {
    this.#firesAt = now + ms
    this.#timer = setTimeout(this.#wake, Math.floor(ms))
  }

  /** Removes the settled calls at the front: answers come roughly in the order of the calls. */
  #removeSettled(): void {
    while (this.#calls[this.#first]?.settled === true) this.#calls[this.#first++] = SETTLED
    if (this.#first < MAX_SETTLED) return
    this.#calls.splice(0, this.#first)
    this.#first = 0
  }
}
