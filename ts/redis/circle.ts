/** A process that was not heard of for this long is gone. */
export const SILENCE_MS = 6_000
/**
 * How long a process waits at least before it takes its full share: those that lost their connection
 * together come back within this time.
 */
const SETTLING_MS = 1_500

/** What a server has said of one set of processes, in its own time. */
export interface Heard {
  /** Processes in the set, this one included. */
  readonly count: number
  /** Whether this process was not in it before. */
  readonly isNew: boolean
  /** When the process was heard of that was heard of least recently; -1 if the server does not say. */
  readonly oldestMs: number
  readonly nowMs: number
}

/**
 * The processes that share the limits of one limiter, as this process knows them, and its own share of the
 * limits for when Redis is away.
 *
 * All shares together never make more than the whole. So a newcomer takes next to nothing until each of the
 * others has been heard of again: they know of it then, and have made their own shares smaller. And a
 * process that comes back to a Redis that has lost its data goes on counting those it knew, for as long as they may take
 * to come back as well.
 */
export class Circle {
  #count = 0
  #joinedMs = 0
  #isSettled = false
  /** As many as were counted before the data was lost. */
  #known = 0
  #knownUntilMs = 0

  /** Processes that share the limits; 0 when they were never counted. */
  get processes(): number {
    return this.#count
  }

  /** Whether the others know of this process. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Into how many parts the limits are cut, of which this process has one. */
  get parts(): number {
    return this.#isSettled ? this.#count : Number.POSITIVE_INFINITY
  }

  learn({ count, isNew, oldestMs, nowMs }: Heard): void {
    if (isNew && this.#count > 0) this.#knownUntilMs = nowMs + SILENCE_MS
    else if (isNew) this.#joinedMs = nowMs
    // The server's clock was put back.
    this.#joinedMs = Math.min(this.#joinedMs, nowMs)
    this.#knownUntilMs = Math.min(this.#knownUntilMs, nowMs + SILENCE_MS)
    if (nowMs >= this.#knownUntilMs) this.#known = count
    // All the others may be newcomers, and those who were known still be on their way.
    this.#count = nowMs < this.#knownUntilMs ? this.#known + count - 1 : count
    this.#isSettled ||= this.#isKnown(count, oldestMs, nowMs)
  }

  #isKnown(count: number, oldestMs: number, nowMs: number): boolean {
    if (count === 1) return true
    const waitMs = oldestMs < this.#joinedMs ? SILENCE_MS : SETTLING_MS
    return nowMs - this.#joinedMs >= waitMs
  }
}
