import type { Application } from 'express'

/** What Express keeps of a middleware, a route or a router. Not a documented interface, but an old one. */
export interface Layer {
  readonly handle?: ((...args: never[]) => unknown) & { readonly stack?: readonly Layer[] }
  readonly route?: { readonly path?: unknown; readonly stack?: readonly Layer[] }
}

/** The layers of an app in their order: none if this Express keeps them elsewhere. */
export function layersOf(app: Application): readonly Layer[] {
  const { _router, router } = app as unknown as Record<string, { stack?: readonly Layer[] }>
  return (_router ?? router)?.stack ?? []
}
