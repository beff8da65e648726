import type { ServerResponse } from 'node:http'
import type { Warnings } from './warning.ts'

const LATE = 'ERR_STREAM_WRITE_AFTER_END'

/**
 * Tells that a listener does not await `admit`: it has taken the promise for leave, and has answered before
 * the decision was there.
 */
export class NotAwaited {
  readonly #warnings: Warnings

  constructor(warnings: Warnings) {
    this.#warnings = warnings
  }

  /** When a decision that took time is there. Until then the response is not the listener's to answer. */
  decided(response: ServerResponse): void {
    if (response.headersSent || response.writableEnded) this.#tell()
  }

  /**
   * While a handler takes its time, the listener may answer before it. What the handler writes then is an
   * error of the response, which would end the process.
   */
  answering(response: ServerResponse): void {
    response.on('error', (error: Error & { code?: string }) => {
      if (error.code === LATE) this.#tell()
      // As if this did not listen.
      else if (response.listenerCount('error') === 1) throw error
    })
    const { end } = response
    // Where the connection has moved on, there is no such error.
    const ending = (...parts: Parameters<typeof end>): ServerResponse => {
      if (response.writableEnded) this.#tell()
      return end.apply(response, parts)
    }
    response.end = ending as typeof end
  }

  #tell(): void {
    this.#warnings.warnOnce(
      'RATETHROTTLE_NOT_AWAITED',
      'a request was answered before it was decided about: admit(request, response) may return a promise, ' +
        'which is always truthy. Write `await limiter.admit(request, response)`, or use `limiter.wrap`',
    )
  }
}
