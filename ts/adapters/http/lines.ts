/** Who holds units of a key now, and who waits for one of them to be given back. */
interface Line {
  held: number
  /** In the order in which they came. */
  readonly waiting: Set<() => void>
}

/** Somebody in a line. */
export interface Waiting {
  leave: (() => void) | undefined
  listen(): void
}

/** So many requests of one key may wait at once: each keeps a connection and its memory. */
const MOST_WAITING = 1000

/** For each key of a budget the line of those who wait for a unit that somebody holds. */
export class Lines {
  readonly #lines = new Map<string, Line>()

  /** A unit of the key is held. */
  hold(key: string): void {
    const line = this.#lines.get(key) ?? { held: 0, waiting: new Set() }
    line.held++
    this.#lines.set(key, line)
  }

  /** A held unit has been settled, one way or the other. */
  free(key: string): void {
    const line = this.#lines.get(key)
    if (line !== undefined) line.held--
    this.wake(key)
  }

  /** The first in line may try. */
  wake(key: string): void {
    const [first] = this.#lines.get(key)?.waiting ?? []
    if (first === undefined) this.#clear(key)
    else first()
  }

  /**
   * Waits for a turn to try, `ms` at most.
   *
   * @returns nothing if waiting is of no use: nobody holds a unit, or too many wait already
   */
  turn(key: string, ms: number, asker: Waiting): Promise<void> | undefined {
    const line = this.#lines.get(key)
    if (line === undefined || line.held === 0 || line.waiting.size >= MOST_WAITING) return undefined
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer)
        line.waiting.delete(go)
        this.#clear(key)
        resolve()
      }
      const timer = setTimeout(go, ms)
      line.waiting.add(go)
      asker.leave = go
      asker.listen()
    })
  }

  #clear(key: string): void {
    const line = this.#lines.get(key)
    if (line?.held === 0 && line.waiting.size === 0) this.#lines.delete(key)
  }
}
