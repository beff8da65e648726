import type { FastifyRequest, RouteOptions } from 'fastify'
import { hiddenProperty } from './internals.ts'
import { countedMethods } from './routes.ts'

/** Stands for the requests that no route matches. */
const NO_ROUTE = '404'

/** By what Fastify keeps of a route: its pattern. */
const PATTERNS = new WeakMap<object, string>()
const contextOf = hiddenProperty<object>('fastify.context')

/** The route of a request as it was declared, such as `GET /users/:id`, HEAD with GET. */
export function routeOf(request: FastifyRequest): string {
  // To ask for `routeOptions` makes an object each time.
  const context = contextOf(request) ?? request.routeOptions.config
  const known = context && PATTERNS.get(context)
  if (known !== undefined) return known
  const { method, url } = request.routeOptions
  const pattern =
    url === undefined ? NO_ROUTE : `${countedMethods(method as RouteOptions['method'])} ${url}`
  if (context !== undefined) PATTERNS.set(context, pattern)
  return pattern
}
