import type { Caller } from '../wait-queue.ts'
import type { HttpAdapter } from './adapter.ts'

/**
 * The requests of one limiter that wait, delayed or for others' outcome.
 *
 * A server that shuts down waits for its requests, so these must not wait for theirs: released, each is
 * answered with the denial that it has waited on.
 */
export class ParkedRequests<Request, Response> {
  readonly #framework: HttpAdapter<Request, Response>
  readonly #leave = new Set<() => void>()
  #isReleased = false

  constructor(framework: HttpAdapter<Request, Response>) {
    this.#framework = framework
  }

  /** The client of a response, as a wait queue sees it. It counts as gone once it is released. */
  clientOf(response: Response): Caller {
    const framework = this.#framework
    return {
      get isGone() {
        return framework.isFinished(response)
      },
      watch: (gone) => {
        const stop = framework.onEnd(response, gone)
        this.#leave.add(gone)
        if (this.#isReleased) queueMicrotask(gone)
        return () => {
          this.#leave.delete(gone)
          stop()
        }
      },
    }
  }

  /** Ends all waits, those of requests still to come too. */
  release(): void {
    this.#isReleased = true
    for (const leave of [...this.#leave]) leave()
  }
}
