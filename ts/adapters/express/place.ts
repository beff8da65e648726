import type { Application, ErrorRequestHandler, RequestHandler } from 'express'
import { isApp, type Layer, layersOf } from './internals.ts'

/** Where a request goes that an app does not answer: to another app, to Express' own page, or who knows. */
export type Beyond = Application | 'default' | 'unknown'

/** What is to be seen of an app's layers at some time. */
interface Scan {
  readonly at: number
  readonly layers: number
  readonly hasErrorHandler: boolean
  readonly handles: ReadonlySet<unknown>
}

/** How many arguments tell an error handler from a middleware, in Express. */
const ERROR_HANDLER_ARGUMENTS = 4
const DEEPEST = 16
/** A router inside may get a layer later, which is not seen from here. */
const SCAN_EVERY_MS = 1000
/** Error handlers of ours, which answer refusals alone. */
const LAST = new WeakSet<object>()

interface Handling {
  readonly parent?: Application
  handle(request: object, response: object, callback?: unknown): void
}

/** An app as far as refusals are concerned: where they go from there, and who would see them on their way. */
export class Place {
  readonly #app: Application
  readonly #beyond = new WeakMap<object, Beyond>()
  #scan: Scan | undefined
  #last: Layer | undefined

  constructor(app: Application) {
    this.#app = app
    this.#notice(app as unknown as Handling)
  }

  /** Where a request goes if this app does not answer it. */
  beyond(request: object): Beyond {
    const { parent } = this.#app as unknown as Handling
    return this.#beyond.get(request) ?? parent ?? 'default'
  }

  /** Whether a refusal by this middleware may meet an error handler here. If not, it surely doesn't. */
  mayAnswer(middleware: RequestHandler): boolean {
    const { hasErrorHandler, handles } = this.#look()
    // One that is not seen stands in a router that is not seen, and that may have error handlers.
    return hasErrorHandler || !handles.has(middleware)
  }

  /** Whether the app has error handlers. */
  get hasErrorHandler(): boolean {
    return this.#look().hasErrorHandler
  }

  /** Sees to it that an error handler of ours comes after all that the app has by now. */
  answerLast(answer: ErrorRequestHandler): void {
    if (this.#last !== undefined && layersOf(this.#app).at(-1) === this.#last) return
    const last: ErrorRequestHandler = (error, request, response, next) => {
      // One that is no longer the last stays where it is: requests on their way count layers.
      const isLast = layersOf(this.#app).at(-1) === layer
      if (isLast && this.beyond(request) === 'default') answer(error, request, response, next)
      else next(error)
    }
    LAST.add(last)
    this.#app.use(last)
    const layer = layersOf(this.#app).at(-1)
    this.#last = layer
  }

  /** Requests that come with a function for what the app does not answer are noted: only those say from where. */
  #notice(app: Handling): void {
    const { handle } = app
    const beyond = this.#beyond
    app.handle = function noticed(this: Handling, request, response, callback): void {
      if (typeof callback === 'function') {
        const { app: outer } = request as { readonly app?: unknown }
        // An app that asks itself again, for another URL, has one end.
        if (outer !== app) beyond.set(request, isApp(outer) ? outer : 'unknown')
      } else if (app.parent !== undefined) beyond.set(request, 'default')
      handle.call(this, request, response, callback)
    }
  }

  /** With thousands of routes looking costs more than all the rest of a denial. */
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
  if (depth > DEEPEST) return
  handles.add(handle)
  for (const layer of route?.stack ?? handle?.stack ?? []) collect(layer, handles, depth + 1)
}

function handlesErrors(handle: unknown): boolean {
  return (
    typeof handle === 'function' && handle.length === ERROR_HANDLER_ARGUMENTS && !LAST.has(handle)
  )
}
