import type { Ending } from '../../http/adapter.ts'
import { EndListeners } from '../../http/response-end.ts'

/**
 * Who waits for the end of one request, on runtimes where there is no response of node:http to watch.
 *
 * A request has two ends: its answer is known, and the body of the answer has been sent. A client that leaves brings
 * both.
 */
export class Endings {
  readonly #signal: AbortSignal | undefined
  readonly #answered = new EndListeners()
  readonly #done = new Set<() => void>()
  #isDone = false
  #isWatching = false

  /** @param signal the request's own: aborted when the client leaves */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  /** Whether the client has left, or the answer is known. */
  get isOver(): boolean {
    return this.#answered.isOver || this.#signal?.aborted === true
  }

  /** Whether something waits for the body to be sent. */
  get waitsForBody(): boolean {
    return this.#done.size > 0
  }

  /** Does what {@link done} does for those who wait for the body. Holds neither the request nor what waits for its answer. */
  get release(): () => void {
    const waiting = this.#done
    return () => callAll(waiting)
  }

  /**
   * Calls `ended` once, when the answer is known or the client has left.
   *
   * @returns cancels the call
   */
  onEnd(ended: (ending: Ending) => void): () => void {
    this.#watch()
    return this.#answered.add(ended)
  }

  /**
   * Calls `done` once, when the body has been sent, can't be, or the client has left.
   *
   * @returns cancels the call
   */
  onDone(done: () => void): () => void {
    this.#watch()
    if (this.#isDone) {
      done()
      return () => {}
    }
    this.#done.add(done)
    return () => {
      this.#done.delete(done)
    }
  }

  /** The answer is known. */
  end(status: Ending): void {
    if (this.#answered.isOver) return
    this.#answered.end(status)
    if (this.#done.size === 0) this.#leave()
  }

  /** The body has been sent, or never will be. */
  done(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#leave()
    callAll(this.#done)
  }

  readonly #gone = (): void => {
    this.end(undefined)
    this.done()
  }

  #watch(): void {
    if (this.#isWatching || this.#isDone) return
    this.#isWatching = true
    if (this.#signal?.aborted === true) this.#gone()
    else this.#signal?.addEventListener('abort', this.#gone, { once: true })
  }

  /** No listener stays on a signal that may outlive the request. */
  #leave(): void {
    if (this.#isWatching) this.#signal?.removeEventListener('abort', this.#gone)
    this.#isWatching = false
  }
}

function callAll(waiting: Set<() => void>): void {
  const all = [...waiting]
  waiting.clear()
  for (const one of all) one()
}
