/** What can be closed once it is not used. */
export interface Retiring {
  /** Calls that have not ended. */
  readonly pending: number
  close(): void
}

/** Requests in flight may still give back what they took, and be counted by their outcome, for this long. */
const GRACE_MS = 30_000
const LOOK_EVERY_MS = 1_000
/** A file that changes without pause must not pile up what it replaces. */
const MAX_RETIRED = 64

/** Limiters that were replaced: each is closed after its last call. */
export class Retired {
  readonly #waiting: { readonly one: Retiring; readonly until: number }[] = []
  #timer: NodeJS.Timeout | undefined

  get size(): number {
    return this.#waiting.length
  }

  /** @param ms how long its requests may take, at most, until their outcome is known */
  add(one: Retiring, ms = 0): void {
    this.#waiting.push({ one, until: performance.now() + Math.max(GRACE_MS, ms) })
    this.#look()
    if (this.#timer === undefined && this.#waiting.length > 0) {
      this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS)
      this.#timer.unref()
    }
  }

  /** Closes those that are done, and the oldest that are idle where there are too many. */
  #look(): void {
    const now = performance.now()
    let tooMany = this.#waiting.length - MAX_RETIRED
    const kept = this.#waiting.filter(({ one, until }) => {
      const isDone = one.pending === 0 && (until <= now || tooMany > 0)
      if (isDone) {
        tooMany--
        one.close()
      }
      return !isDone
    })
    this.#waiting.splice(0, this.#waiting.length, ...kept)
    if (kept.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const { one } of this.#waiting.splice(0)) one.close()
  }
}
