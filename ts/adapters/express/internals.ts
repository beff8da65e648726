import type { Application } from 'express'

/** What Express keeps of a middleware, a route or a router. Not a documented interface, but an old one. */
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

/** The layers of an app in their order: none if this Express keeps them elsewhere. */
export function layersOf(app: Application): readonly Layer[] {
  const kept = app as unknown as { _router?: Stacked; readonly router?: Stacked }
  // Express 4 throws at whoever reads `router`, but has `_router` by the time it serves a request.
  return (kept._router ?? kept.router)?.stack ?? []
}

/** Whether it is an app of Express: other frameworks put theirs on requests, too. */
export function isApp(app: unknown): app is Application {
  const { handle, use } = (app ?? {}) as { readonly handle?: unknown; readonly use?: unknown }
  return typeof handle === 'function' && typeof use === 'function'
}
