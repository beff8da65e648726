import type { RedisConnection } from './ioredis.ts'

/** Commands that are sent in one write: few enough that Redis works on them while we write the next. */
const MOST = 16

/**
 * Sends what is asked in one turn of the event loop in few writes, where each command would be a system
 * call of its own. Nothing waits for an answer to come first, as a pipeline does.
 */
export class Corks {
  readonly #link: RedisConnection
  #corked: RedisConnection['stream']
  #held = 0

  constructor(link: RedisConnection) {
    this.#link = link
  }

  /** To be called before a command is sent. */
  cork(): void {
    const { stream } = this.#link
    if (stream?.cork === undefined) return
    if (this.#corked === stream) {
      this.#relieve(stream)
      return
    }
    this.#corked = stream
    this.#held = 1
    stream.cork()
    process.nextTick(() => {
      if (this.#corked === stream) this.#corked = undefined
      stream.uncork?.()
    })
  }

  #relieve(stream: NonNullable<RedisConnection['stream']>): void {
    this.#held++
    if (this.#held <= MOST) return
    this.#held = 1
    stream.uncork?.()
    stream.cork?.()
  }
}
