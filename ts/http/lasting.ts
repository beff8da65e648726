import { withCode } from '../validate.ts'

/** What all versions of a limiter have in common. */
export interface Lasting {
  /** Who charges: a request is counted once. */
  readonly owner: symbol | string
  /** What an insight calls it. */
  readonly shown: string
  /** By which route of the file it counts a request, for an insight. */
  readonly route?: ((request: object) => string | undefined) | undefined
}

/**
 * Marks the options of a limiter that others with other limits take the place of while the server runs: what keys
 * have used stays. Only for this package's own use.
 */
export const LASTING: unique symbol = Symbol('ratethrottle.lasting')

/** The error for limits in the program beside those of a file. */
export function besideConfig(what: string): Error {
  const message = `${what} must be left out beside config: write the limit into its limiters, and the route into its routes`
  return withCode(new TypeError(message), 'INVALID_OPTION')
}
