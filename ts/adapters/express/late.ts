import type { Request, RequestHandler } from 'express'
import type { Warnings } from '../../http/warning.ts'
import { isApp, type Layer, layersOf } from './internals.ts'
import { pathsOf, textsOf, under } from './paths.ts'

const MOST_NAMED = 3
const DEEPEST = 16

/** What comes before a middleware, as paths: a route may have several, and some can't be told. */
interface Walk {
  readonly middleware: RequestHandler
  readonly earlier: (readonly (string | undefined)[])[]
  own: readonly (string | undefined)[]
}

/** Express goes in order: a middleware does not cover the routes before it that lie where it does. */
export function warnOfEarlierRoutes(
  { app, baseUrl }: Request,
  middleware: RequestHandler,
  warnings: Warnings,
): void {
  if (!isApp(app)) return
  const walk: Walk = { middleware, earlier: [], own: [] }
  if (!visit(layersOf(app), [''], walk, 0)) return
  const own = walk.own.map((path) => path ?? baseUrl)
  const missed = walk.earlier.filter((paths) => paths.some((path) => under(path, own)))
  if (missed.length === 0) return
  const names = missed.slice(0, MOST_NAMED).map((paths) => paths[0] ?? '?')
  const more = missed.length > MOST_NAMED ? ', ...' : ''
  const routes = missed.length === 1 ? 'one route' : `${missed.length} routes`
  warnings.warnOnce(
    'RATETHROTTLE_LATE',
    `rateThrottle comes after ${routes} of the app (${names.join(', ')}${more}), which it does not limit: app.use it before them`,
  )
}

/** Notes the routes in their order until the middleware comes. Whether it does. */
function visit(
  layers: readonly Layer[],
  at: readonly (string | undefined)[],
  walk: Walk,
  depth: number,
): boolean {
  for (const layer of layers) {
    const { handle, route } = layer
    if (handle === walk.middleware) {
      walk.own = join(at, pathsOf(layer))
      return true
    }
    if (route !== undefined) walk.earlier.push(join(at, textsOf(route.path)))
    // What a mounted app has is not to be seen from here: most likely routes.
    else if (handle?.name === 'mounted_app') walk.earlier.push(join(at, pathsOf(layer)))
    else if (handle?.stack !== undefined && depth < DEEPEST) {
      if (visit(handle.stack, join(at, pathsOf(layer)), walk, depth + 1)) return true
    }
  }
  return false
}

function join(
  mounts: readonly (string | undefined)[],
  paths: readonly (string | undefined)[],
): (string | undefined)[] {
  return mounts.flatMap((mount) =>
    paths.map((path) =>
      mount === undefined || path === undefined
        ? undefined
        : `${mount}/${path}`.replace(/\/+/g, '/'),
    ),
  )
}
