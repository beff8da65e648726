import type { Link } from './client.ts'

/**
 * Sends what is asked in one turn of the event loop in one write, where each command would be a system call
 * of its own. Nothing waits for an answer to come first, as a pipeline does.
 */
export class Corks {
  readonly #link: Link
  #corked: Link['stream']

  constructor(link: Link) {
    this.#link = link
  }

  /** To be called before a command is sent. */
  cork(): void {
    const { stream } = this.#link
    if (this.#corked === stream || stream?.cork === undefined) return
    this.#corked = stream
    stream.cork()
    process.nextTick(() => {
      if (this.#corked === stream) this.#corked = undefined
      stream.uncork?.()
    })
  }
}
