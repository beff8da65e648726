import type { Application } from 'express'

/** What Express keeps of a middleware, a route or a router. Not a documented interface, but an old one. */
export interface Layer {
  readonly handle?: ((...args: never[]) => unknown) & { readonly stack?: readonly Layer[] }
  readonly route?: { readonly path?: unknown; readonly stack?: readonly Layer[] }
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
