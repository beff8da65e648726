import type { Application, Request } from 'express'
import {
  asPaths,
  isApp,
  isSame,
  join,
  type Layer,
  layersOf,
  MAX_DEPTH,
  type Paths,
  pathsOf,
} from './internals.ts'

/*
 * The routes of an app as it has declared them. `request.baseUrl` and `request.path` are the client's: `/users/42`
 * and `/USERS/43` under the mount `/users/:id` must not become a row each.
 */

/** Routes and mounts that are looked at: those that a program declares beyond are not known. */
const MAX_DECLARED = 10_000
/** Base URLs, of which clients can make many: this many are remembered, none longer than that. */
const MAX_KNOWN = 256
const MAX_LENGTH = 200
/** A route with more methods is one for all. */
const MAX_METHODS = 8
/** A route that is not found may have been declared since. */
const LOOK_EVERY_MS = 1_000

/** What an app has declared. */
interface Declared {
  readonly at: number
  /** By the object of a route: where it is. */
  readonly routes: Map<object, string>
  /** Paths at which something is mounted. */
  readonly mounts: Set<string>
  /** By a base URL: its mount, and so what a limiter there is called. */
  readonly known: Map<string, string | undefined>
}

interface Route {
  readonly path?: unknown
  readonly methods?: Readonly<Record<string, boolean | undefined>>
}

const DECLARED = new WeakMap<object, Declared>()
/** By a route and a method of a request: its pattern. */
const PATTERNS = new WeakMap<object, Map<string, string>>()

/**
 * The route that a limiter of its own stands on, such as `GET /users/:id`. Before routes: the path it is mounted at,
 * such as `/api/*`, because Express looks for the route only then.
 */
export function routeOf(request: Request): string | undefined {
  const { route, baseUrl } = request as Partial<Request>
  if (typeof route === 'object' && route !== null) return patternOf(request, route as Route)
  if (typeof baseUrl !== 'string' || baseUrl === '') return undefined
  const { app } = request as Partial<Request>
  // To look whether it is an app costs more than all the rest.
  const declared = typeof app === 'function' ? DECLARED.get(app) : undefined
  const mount = declared?.known.get(baseUrl)
  if (mount !== undefined) return mount
  return isApp(app) ? mountOf(app, baseUrl) : undefined
}

function patternOf({ app, method }: Request, route: Route): string {
  const byMethod = PATTERNS.get(route) ?? new Map<string, string>()
  const known = byMethod.get(method)
  if (known !== undefined) return known
  const path = isApp(app) ? pathOf(app, route) : undefined
  const pattern = `${methodOf(route, method)} ${path ?? asPaths(route.path).map(shown).join(' | ')}`
  PATTERNS.set(route, byMethod.set(method, pattern))
  return pattern
}

function pathOf(app: Application, route: object): string | undefined {
  return declaredBy(app, false).routes.get(route) ?? declaredBy(app, true).routes.get(route)
}

/** As declared: a route for all methods is one, whatever a client sends. HEAD is served by the route for GET. */
function methodOf({ methods = {} }: Route, asked: string): string {
  const has = (method: string): boolean => methods[method.toLowerCase()] === true
  // `app.all` declares every method there is.
  if (Object.keys(methods).length > MAX_METHODS) return 'ALL'
  if (has(asked)) return asked
  return asked === 'HEAD' && has('GET') ? 'GET' : 'ALL'
}

function mountOf(app: Application, baseUrl: string): string | undefined {
  for (const again of [false, true]) {
    const { mounts, known } = declaredBy(app, again)
    if (known.has(baseUrl)) return known.get(baseUrl)
    const asked = segmentsOf(baseUrl)
    const found = [...mounts].find((mount) => isMount(segmentsOf(mount), asked))
    const shownAs = found && `${found.replace(/\/$/, '')}/*`
    if (found === undefined && !again) continue
    if (known.size < MAX_KNOWN && baseUrl.length <= MAX_LENGTH) known.set(baseUrl, shownAs)
    return shownAs
  }
  return undefined
}

function segmentsOf(path: string): readonly string[] {
  return path.split('/').filter((part) => part !== '')
}

function isMount(mount: readonly string[], asked: readonly string[]): boolean {
  const isPart = (part: string, i: number): boolean =>
    part.startsWith(':') || isSame(part, asked[i])
  return mount.length === asked.length && mount.every(isPart)
}

/** @param again whether to look again, unless that was done a moment ago */
function declaredBy(app: Application, again: boolean): Declared {
  const known = DECLARED.get(app)
  if (known !== undefined && !again) return known
  const now = performance.now()
  if (known !== undefined && now - known.at < LOOK_EVERY_MS) return known
  const declared = { at: now, routes: new Map(), mounts: new Set<string>(), known: new Map() }
  visit(layersOf(app), [mountPathOf(app)], declared, 0)
  DECLARED.set(app, declared)
  return declared
}

/** Where an app is mounted in others. */
function mountPathOf(app: Application): string {
  const { mountpath, parent } = app as { readonly mountpath?: unknown; readonly parent?: unknown }
  if (!isApp(parent)) return ''
  const [own = '/'] = asPaths(mountpath)
  return `${mountPathOf(parent)}${own === '/' ? '' : own}`
}

function visit(layers: readonly Layer[], at: Paths, declared: Declared, depth: number): void {
  const { routes, mounts } = declared
  for (const layer of layers) {
    if (routes.size + mounts.size >= MAX_DECLARED) return
    const { handle, route } = layer
    if (route !== undefined) {
      addRoute(routes, route, join(at, asPaths(route.path)))
      continue
    }
    const here = join(at, pathsOf(layer))
    addMounts(mounts, here)
    const inner = depth < MAX_DEPTH ? handle?.stack : undefined
    if (inner !== undefined) visit(inner, here, declared, depth + 1)
  }
}

/** A router may be mounted in several places. */
function addRoute(routes: Map<object, string>, route: object, paths: Paths): void {
  const before = routes.get(route)
  const all = [...(before === undefined ? [] : [before]), ...paths.map(shown)]
  routes.set(route, all.join(' | ').slice(0, MAX_LENGTH))
}

function addMounts(mounts: Set<string>, paths: Paths): void {
  for (const path of paths) if (path !== undefined && path !== '/') mounts.add(path)
}

/** A path that is a regular expression has no text of its own. */
function shown(path: string | undefined): string {
  return path ?? '(a pattern)'
}
