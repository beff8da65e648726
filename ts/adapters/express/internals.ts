import type { Application, ErrorRequestHandler, Request, RequestHandler } from 'express'
import type { Warnings } from '../../http/events.ts'

/*
 * What Express keeps of its middlewares, routes and routers. Not documented, but the same for many years: it
 * shows which routes come before a middleware, and whether an app has error handlers.
 */

/** A middleware, a route or a router. */
export interface Layer {
  readonly handle?: ((...args: never[]) => unknown) & { readonly stack?: readonly Layer[] }
  readonly route?: { readonly path?: unknown; readonly stack?: readonly Layer[] }
  /** Express 5: the path as it was given. */
  readonly rawPath?: unknown
  /** Express 5: whether the path is `/`. */
  readonly slash?: boolean
  /** Express 4: what the path became. */
  readonly regexp?: RegExp & { readonly fast_slash?: boolean }
}

interface Stacked {
  readonly stack?: readonly Layer[]
}

/** Routers within routers are looked at to this depth. */
export const MAX_DEPTH = 16

/** The layers of an app in their order: none if this Express keeps them elsewhere. */
export function layersOf(app: Application): readonly Layer[] {
  const kept = app as unknown as { _router?: Stacked; readonly router?: Stacked }
  // Express 4 throws when `router` is read, but has `_router` by the time it serves a request.
  return (kept._router ?? kept.router)?.stack ?? []
}

/** Whether it is an app of Express: other frameworks put theirs on requests, too. */
export function isApp(app: unknown): app is Application {
  const { handle, use } = (app ?? {}) as { readonly handle?: unknown; readonly use?: unknown }
  return typeof handle === 'function' && typeof use === 'function'
}

/** Paths of a layer as they were given; `undefined` for one that is not known. */
export type Paths = readonly (string | undefined)[]

/** How many routes a warning names. */
const MAX_NAMED = 3

/** What comes before a middleware. */
interface Walk {
  readonly middleware: RequestHandler
  readonly earlier: Paths[]
  own: Paths
}

/** Warns of routes before the middleware that lie under its path: Express goes in order, so it does not limit them. */
export function warnAboutEarlierRoutes(
  { app, baseUrl }: Request,
  middleware: RequestHandler,
  warnings: Warnings,
): void {
  if (!isApp(app)) return
  const walk: Walk = { middleware, earlier: [], own: [] }
  if (!visit(layersOf(app), [''], walk, 0)) return
  const own = walk.own.map((path) => path ?? baseUrl)
  const missed = walk.earlier.filter((paths) => paths.some((path) => isUnder(path, own)))
  if (missed.length === 0) return
  const names = missed.slice(0, MAX_NAMED).map((paths) => paths[0] ?? '?')
  const more = missed.length > MAX_NAMED ? ', ...' : ''
  const [routes, them] =
    missed.length === 1 ? ['one route', 'it'] : [`${missed.length} routes`, 'them']
  warnings.warnOnce(
    'RATETHROTTLE_LATE',
    `rateThrottle comes after ${routes} of the app (${names.join(', ')}${more}) and does not limit ${them}: app.use it first`,
  )
}

/** Notes the routes in their order up to the middleware. Whether it was found. */
function visit(layers: readonly Layer[], at: Paths, walk: Walk, depth: number): boolean {
  for (const layer of layers) {
    const { handle, route } = layer
    if (handle === walk.middleware) {
      walk.own = join(at, pathsOf(layer))
      return true
    }
    if (route !== undefined) walk.earlier.push(join(at, asPaths(route.path)))
    // The routes of a mounted app can't be seen from here, but most likely it has some.
    else if (handle?.name === 'mounted_app') walk.earlier.push(join(at, pathsOf(layer)))
    else if (handle?.stack !== undefined && depth < MAX_DEPTH) {
      if (visit(handle.stack, join(at, pathsOf(layer)), walk, depth + 1)) return true
    }
  }
  return false
}

export function join(mounts: Paths, paths: Paths): Paths {
  const both = (mount?: string, path?: string): string | undefined =>
    mount === undefined || path === undefined ? undefined : `${mount}/${path}`.replace(/\/+/g, '/')
  return mounts.flatMap((mount) => paths.map((path) => both(mount, path)))
}

export function pathsOf({ rawPath, slash, regexp }: Layer): Paths {
  if (rawPath !== undefined) return asPaths(rawPath)
  if (slash === true || regexp?.fast_slash === true) return ['/']
  return regexp === undefined ? [undefined] : pathsIn(regexp)
}

/** One path or several. That of a regular expression is not known. */
export function asPaths(path: unknown): Paths {
  return [path].flat().map((one: unknown) => (typeof one === 'string' ? one : undefined))
}

/** Whether a path lies under one of these places. One that is not known lies under the root alone. */
function isUnder(path: string | undefined, places: readonly string[]): boolean {
  const segments = (text: string): string[] => text.split('/').filter((part) => part !== '')
  const found = segments(path ?? '')
  return places.some((place) => segments(place).every((segment, i) => isSame(segment, found[i])))
}

/** Parameters are the same whatever their names: both take every segment. */
export function isSame(one: string, other: string | undefined): boolean {
  if (other === undefined) return false
  const isParameter = one.startsWith(':') && other.startsWith(':')
  return isParameter || one.toLowerCase() === other.toLowerCase()
}

const END = '\\/?(?=\\/|$)'

/** The paths that Express 4 has made this of, except for the names of their parameters. */
function pathsIn({ source }: RegExp): Paths {
  const [first = '', ...rest] = source.split('|^')
  return [first, ...rest.map((one) => `^${one}`)].map(pathIn)
}

function pathIn(source: string): string | undefined {
  if (!source.startsWith('^') || !source.endsWith(END)) return undefined
  const text = source
    .slice(1, -END.length)
    .replaceAll('(?:\\/([^/]+?))', '/:parameter')
    .replaceAll('(?:([^\\/]+?))', ':parameter')
    .replace(/\\(.)/g, '$1')
  return /[()[\]?*+|]/.test(text) ? undefined : text
}

/** Where an error goes that an app does not handle: to another app, to Express' own page, or it is not known. */
type Beyond = Application | 'default' | 'unknown'

/** What an app's layers were at some time. */
interface Scan {
  readonly at: number
  readonly layers: number
  readonly hasErrorHandler: boolean
  readonly handles: ReadonlySet<unknown>
}

/** Express recognizes an error handler by its number of arguments. */
const ERROR_HANDLER_ARGUMENTS = 4
/** A router inside may get a layer later, which can't be noticed from outside. */
const SCAN_EVERY_MS = 1000
const MAX_APPS = 16
/** Our own error handlers, which answer refusals only. */
const OURS = new WeakSet<object>()
const ERRORS = new WeakMap<object, AppErrors>()

interface Handling {
  readonly parent?: Application
  handle(request: object, response: object, callback?: unknown): void
}

/** The errors of an app: which handlers may see them, and where they go from there. */
class AppErrors {
  readonly #app: Application
  readonly #beyond = new WeakMap<object, Beyond>()
  #scan: Scan | undefined
  #last: Layer | undefined

  constructor(app: Application) {
    this.#app = app
    this.#watchRequests(app as unknown as Handling)
  }

  /** Where an error of this request goes if the app does not handle it. */
  beyond(request: object): Beyond {
    const { parent } = this.#app as unknown as Handling
    return this.#beyond.get(request) ?? parent ?? 'default'
  }

  /** Whether an error that comes from outside, or from this middleware of the app, may meet an error handler here. */
  mayHandle(middleware?: RequestHandler): boolean {
    const { hasErrorHandler, handles } = this.#look()
    // A middleware that is not found is in a router that is not found, which may have error handlers.
    return hasErrorHandler || (middleware !== undefined && !handles.has(middleware))
  }

  /** Adds our own error handler behind all layers that the app has by now. */
  handleLast(answer: ErrorRequestHandler): void {
    if (this.#last !== undefined && layersOf(this.#app).at(-1) === this.#last) return
    const last: ErrorRequestHandler = (error, request, response, next) => {
      // One that is no longer the last stays in place: requests under way count layers.
      const isLast = layersOf(this.#app).at(-1) === layer
      if (isLast && this.beyond(request) === 'default') answer(error, request, response, next)
      else next(error)
    }
    OURS.add(last)
    this.#app.use(last)
    const layer = layersOf(this.#app).at(-1)
    this.#last = layer
  }

  /** Records which requests come with a callback for errors: only the call shows where that leads. */
  #watchRequests(app: Handling): void {
    const { handle } = app
    const beyond = this.#beyond
    app.handle = function watched(this: Handling, request, response, callback): void {
      if (typeof callback === 'function') {
        const { app: outer } = request as { readonly app?: unknown }
        // An app that calls itself again, for another URL, has one end.
        if (outer !== app) beyond.set(request, isApp(outer) ? outer : 'unknown')
      } else if (app.parent !== undefined) beyond.set(request, 'default')
      handle.call(this, request, response, callback)
    }
  }

  /** With thousands of routes a look costs more than all the rest of a denial, so it is kept for a while. */
  #look(): Scan {
    const { length } = layersOf(this.#app)
    const now = performance.now()
    if (this.#scan?.layers === length && now - this.#scan.at < SCAN_EVERY_MS) return this.#scan
    const handles = new Set<unknown>()
    for (const layer of layersOf(this.#app)) collect(layer, handles, 0)
    const hasErrorHandler = [...handles].some(handlesErrors)
    this.#scan = { at: now, layers: length, hasErrorHandler, handles }
    return this.#scan
  }
}

function collect({ handle, route }: Layer, handles: Set<unknown>, depth: number): void {
  if (depth > MAX_DEPTH) return
  handles.add(handle)
  for (const layer of route?.stack ?? handle?.stack ?? []) collect(layer, handles, depth + 1)
}

function handlesErrors(handle: unknown): boolean {
  return (
    typeof handle === 'function' && handle.length === ERROR_HANDLER_ARGUMENTS && !OURS.has(handle)
  )
}

/** Begins to note how requests come to this app. */
export function watchErrors(app: unknown): void {
  if (isApp(app)) errorsOf(app)
}

/** The apps that an error of this request passes if none handles it, and what comes then. */
export function errorPath(request: Request): { readonly apps: AppErrors[]; readonly end: Beyond } {
  const apps: AppErrors[] = []
  // Missing on a request that did not come through an Express app.
  let next: Beyond = (request.app as Application | undefined) ?? 'unknown'
  while (isApp(next) && apps.length < MAX_APPS) {
    const errors = errorsOf(next)
    apps.push(errors)
    next = errors.beyond(request)
  }
  return { apps, end: next }
}

function errorsOf(app: Application): AppErrors {
  const known = ERRORS.get(app)
  if (known !== undefined) return known
  const errors = new AppErrors(app)
  ERRORS.set(app, errors)
  return errors
}
