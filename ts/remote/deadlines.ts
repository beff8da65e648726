/** A caller that waits for an answer. */
export interface Waiting {
  /** Whether it has its answer, or has been told that there will be none. */
  settled: boolean
  /** Tells it that time is up. */
  expire(): void
}

/** Longest list of the settled that is kept before they are let go of. */
const ROOM = 1_024

/**
 * Deadlines that are all equally far away, so the one set first is due first: one timer for all of them,
 * and next to nothing for each.
 */
export class Deadlines {
  /** Milliseconds from the start of a call. */
  readonly ms: number
  readonly #calls: Waiting[] = []
  readonly #dueAt: number[] = []
  #first = 0
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.ms = ms
  }

  /**
   * @param since `performance.now()` from which its time counts: now, or a little earlier
   * @param now `performance.now()`
   */
  add(call: Waiting, since: number, now: number = since): void {
    this.#letGo()
    const dueAt = since + this.ms
    let place = this.#calls.length
    while (place > this.#first && (this.#dueAt[place - 1] as number) > dueAt) place--
    if (place === this.#calls.length) {
      this.#calls.push(call)
      this.#dueAt.push(dueAt)
    } else {
      this.#calls.splice(place, 0, call)
      this.#dueAt.splice(place, 0, dueAt)
    }
    if (place > this.#first && this.#timer !== undefined) return
    clearTimeout(this.#timer)
    this.#arm(Math.max(0, dueAt - now))
  }

  /** Ends every caller's wait. */
  expireAll(): void {
    for (const call of this.#calls.splice(0)) if (!call.settled) call.expire()
    this.#dueAt.length = 0
    this.#first = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /**
   * Where the event loop was held up, answers lie in the socket unread when the timer fires. They are read
   * before any caller is told that there was none.
   */
  readonly #wake = (): void => {
    setImmediate(this.#expireDue)
  }

  readonly #expireDue = (): void => {
    this.#timer = undefined
    const now = performance.now()
    while (this.#first < this.#calls.length) {
      const call = this.#calls[this.#first] as Waiting
      const rest = (this.#dueAt[this.#first] as number) - now
      if (!call.settled && rest > 0) {
        this.#arm(rest)
        break
      }
      this.#first++
      if (!call.settled) call.expire()
    }
    this.#letGo()
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(this.#wake, Math.floor(ms))
  }

  /** Of the settled, as far as they come first: answers come about in the order of the calls. */
  #letGo(): void {
    while (this.#calls[this.#first]?.settled === true) this.#first++
    if (this.#first === this.#calls.length) {
      this.#calls.length = 0
      this.#dueAt.length = 0
      this.#first = 0
    } else if (this.#first >= ROOM) {
      this.#calls.splice(0, this.#first)
      this.#dueAt.splice(0, this.#first)
      this.#first = 0
    }
  }
}
