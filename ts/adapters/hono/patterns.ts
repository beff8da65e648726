import type { Context } from 'hono'

/** A route or a middleware, as the app has declared it: of all its requests the same object. */
interface Declared {
  readonly path: string
  readonly method: string
}

/** What middleware has in place of a method. */
const ANY = 'ALL'

const PATTERNS = new WeakMap<Declared, string>()

/**
 * The route that answers a request, such as `GET /users/:id`: Hono has found it before the first middleware runs.
 * Without one the path of the last middleware that the request passes, such as `/api/*`.
 */
export function routeOf({ req }: Context): string | undefined {
  // `matchedRoutes` of hono/route is no more than this, and not in all versions that are supported.
  const { matchedRoutes } = req as { readonly matchedRoutes?: readonly Declared[] }
  if (!Array.isArray(matchedRoutes)) return undefined
  const all: readonly Declared[] = matchedRoutes
  const route = all.findLast(({ method }) => method !== ANY) ?? all.at(-1)
  return route && (PATTERNS.get(route) ?? patternOf(route))
}

function patternOf(route: Declared): string {
  const { method, path } = route
  const pattern = method === ANY ? path : `${method} ${path}`
  PATTERNS.set(route, pattern)
  return pattern
}
