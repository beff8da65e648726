import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'

/** The name of the function that answers errors where nobody has set another. */
const DEFAULT_HANDLER = 'defaultErrorHandler'

/**
 * Whether anybody would see the error of a refused request: an error handler, an `onError` hook, a log.
 *
 * If nobody does, making an error and having Fastify answer it costs more than to admit the request, and
 * a flood of refused requests is when that matters.
 */
export class Watch {
  readonly #hooks: symbol | undefined
  #isAlwaysOn: boolean
  #default: FastifyInstance['errorHandler'] | undefined

  /** @param hasEarlyRoutes whether there are routes of which nothing is known */
  constructor(app: FastifyInstance, hasEarlyRoutes: boolean) {
    this.#hooks = symbolOf(app, 'fastify.hooks')
    this.#isAlwaysOn = hasEarlyRoutes
  }

  /** Takes notice of a route's own error handling. */
  see({ errorHandler, onError }: RouteOptions): void {
    if (errorHandler !== undefined || onError !== undefined) this.#isAlwaysOn = true
  }

  isOn({ server, log }: FastifyRequest): boolean {
    if (this.#isAlwaysOn || this.#hooks === undefined) return true
    if (server.errorHandler !== this.#default && !this.#isDefault(server.errorHandler)) return true
    const hooks = (server as unknown as Record<symbol, { readonly onError?: unknown[] }>)[
      this.#hooks
    ]
    return hooks?.onError?.length !== 0 || isLogging(log)
  }

  #isDefault(handler: FastifyInstance['errorHandler']): boolean {
    if (handler.name !== DEFAULT_HANDLER) return false
    this.#default = handler
    return true
  }
}

function isLogging(log: FastifyRequest['log'] & { isLevelEnabled?: (level: string) => boolean }) {
  return log.isLevelEnabled?.('info') === true
}

/** Fastify's own properties have symbols for names, which it does not give away. */
export function symbolOf(app: object, description: string): symbol | undefined {
  for (let at: object | null = app; at !== null; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertySymbols(at).find((one) => one.description === description)
    if (found !== undefined) return found
  }
  return undefined
}
