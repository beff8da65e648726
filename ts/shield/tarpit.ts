/** An attempt that is held back. */
interface Held {
  readonly until: number
  readonly done: () => void
  isOver: boolean
}

/**
 * Holds refused attempts back for a while before they are answered, so that who tries often tries slower.
 *
 * A connection is kept for each, so they are bounded: what comes beyond is answered at once. All wait equally long,
 * so they end in the order in which they came, and one timer is enough.
 */
export class Tarpit {
  readonly #ms: number
  readonly #max: number
  /** Those whose client has left stay in it until it is their turn, or the queue is compacted. */
  #queue: Held[] = []
  #first = 0
  #count = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param ms 0 holds none */
  constructor(ms: number, max: number) {
    this.#ms = ms
    this.#max = max
  }

  /** How many attempts are held now. */
  get held(): number {
    return this.#count
  }

  /**
   * Holds an attempt, if there is room.
   *
   * @param done called once, when it is to be answered: later, never within this call
   * @returns ends the hold at once, without calling `done`; `undefined` if it is not held
   */
  hold(done: () => void): (() => void) | undefined {
    if (this.#isClosed || this.#ms === 0 || this.#count >= this.#max) return undefined
    // A flood of clients that leave must not grow the queue.
    if (this.#queue.length - this.#first >= 2 * this.#max) this.#compact()
    const one: Held = { until: performance.now() + this.#ms, done, isOver: false }
    this.#queue.push(one)
    this.#count++
    this.#timer ??= this.#wait(this.#ms)
    return () => {
      if (one.isOver) return
      one.isOver = true
      this.#count--
      if (this.#count === 0) this.#rest()
    }
  }

  /** Has all attempts answered now: a server that shuts down waits for its requests. */
  release(): void {
    const queue = this.#queue
    const first = this.#first
    this.#rest()
    for (let i = first; i < queue.length; i++) this.#end(queue[i] as Held)
  }

  /** As {@link release}, and from now on holds none. */
  close(): void {
    this.#isClosed = true
    this.release()
  }

  #wait(ms: number): NodeJS.Timeout {
    // Held attempts are no reason to keep the process alive.
    return setTimeout(() => this.#due(), ms).unref()
  }

  #due(): void {
    this.#timer = undefined
    const now = performance.now()
    while (this.#first < this.#queue.length) {
      const one = this.#queue[this.#first] as Held
      if (!one.isOver && one.until > now) break
      this.#first++
      this.#end(one)
    }
    const next = this.#queue[this.#first]
    if (next === undefined) {
      this.#rest()
      return
    }
    if (this.#first >= this.#max) this.#compact()
    // What was answered may have made another attempt, for which a timer was set.
    clearTimeout(this.#timer)
    this.#timer = this.#wait(Math.max(1, next.until - performance.now()))
  }

  #end(one: Held): void {
    if (one.isOver) return
    one.isOver = true
    this.#count--
    one.done()
  }

  /** Nothing is held any more. */
  #rest(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue = []
    this.#first = 0
  }

  #compact(): void {
    this.#queue = this.#queue.slice(this.#first).filter(({ isOver }) => !isOver)
    this.#first = 0
  }
}
