/** Runs a function at intervals for as long as it is started, by one timer. */
export class Poll {
  readonly #everyMs: number
  readonly #run: () => void
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Immediate | undefined

  constructor(everyMs: number, run: () => void) {
    this.#everyMs = everyMs
    this.#run = run
  }

  /** Begins, if it has not begun. Callers that wait keep the process alive, as those of `limiter.wait` do. */
  start(): void {
    this.#timer ??= setInterval(this.#run, this.#everyMs)
  }

  /** Goes on in the next turn of the event loop. */
  soon(goOn: () => void): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined
      goOn()
    })
  }

  stop(): void {
    clearInterval(this.#timer)
    clearImmediate(this.#soon)
    this.#timer = undefined
    this.#soon = undefined
  }
}
