import { FIRST_BEAT_MS, MAX_BEAT_MS } from './bounds.ts'

/**
 * The wait of the first message that a gate holds, with a sign of life now and then.
 *
 * Nothing is read from a connection while its messages wait, so it would not be seen that the client has gone. A client
 * that has gone answers what is written to it with a reset, and that is seen.
 */
export class Wait {
  readonly #over: () => void
  readonly #beat: () => void
  #timer: NodeJS.Timeout | undefined
  #dueAt = 0
  #beatAt = 0
  #beatMs = FIRST_BEAT_MS
  #isAlone = false

  /**
   * @param over called when the wait is over
   * @param beat writes something to the client
   */
  constructor(over: () => void, beat: () => void) {
    this.#over = over
    this.#beat = beat
  }

  /** When it is over, as `performance.now()` shows it. */
  get dueAt(): number {
    return this.#dueAt
  }

  /** From now on nothing is read from the connection. Many waits may follow each other. */
  silence(): void {
    this.#beatMs = FIRST_BEAT_MS
    this.#beatAt = performance.now() + FIRST_BEAT_MS
  }

  start(ms: number): void {
    this.#dueAt = performance.now() + ms
    this.#arm()
  }

  /** There is no client any more, and the process may end without what waits. */
  alone(): void {
    this.#isAlone = true
    this.#timer?.unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(): void {
    const left = Math.max(0, this.#dueAt - performance.now())
    this.#timer = setTimeout(() => this.#wake(), Math.min(left, MAX_BEAT_MS, this.#beatMs))
    if (this.#isAlone) this.#timer.unref()
  }

  #wake(): void {
    this.#timer = undefined
    const now = performance.now()
    if (!this.#isAlone && now >= this.#beatAt) {
      this.#beatMs = Math.min(this.#beatMs * 2, MAX_BEAT_MS)
      this.#beatAt = now + this.#beatMs
      this.#beat()
    }
    if (this.#dueAt - now >= 1) this.#arm()
    else this.#over()
  }
}
