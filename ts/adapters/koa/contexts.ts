import type { Context } from 'koa'
import type { HttpAdapter } from '../../http/adapter.ts'
import { isExplicitTrust } from '../../http/client.ts'
import type { Warnings } from '../../http/events.ts'
import { NODE } from '../../http/node.ts'

/** How requests say what they are, for the routes of a file. */
export const reader: Pick<HttpAdapter, 'method' | 'target'> = {
  method: (ctx) => NODE.method((ctx as Context).req),
  target: (ctx) => NODE.target((ctx as Context).req),
}

/** Koa's contexts, which are request and response in one. */
export function koaAdapter(warnings: Warnings): HttpAdapter<Context, Context> {
  return {
    ...reader,
    peer: ({ req }) => NODE.peer(req),
    incoming: ({ req }) => req,
    outgoing: ({ res }) => res,
    headers: ({ req }) => req.headers,
    route: routeOf,
    forwarded: ({ app }) => {
      // Whatever sends the header is trusted then: Koa has no setting that lists proxies.
      if (app?.proxy === true) {
        const { maxIpsCount = 0 } = app as { readonly maxIpsCount?: number }
        isExplicitTrust(maxIpsCount > 0 ? maxIpsCount : true, () => true, warnings)
      }
      return undefined
    },
    isProxy: () => false,
    setHeader: ({ res }, name, value) => {
      res.setHeader(name, value)
    },
    setFigures: ({ res }, ...figures) => NODE.setFigures(res, ...figures),
    removeHeader: ({ res }, name) => {
      res.removeHeader(name)
    },
    setStatus: (ctx, status) => {
      if (!NODE.isFinished(ctx.res)) ctx.status = status
    },
    isFinished: ({ res }) => NODE.isFinished(res),
    onEnd: ({ res }, ended) => NODE.onEnd(res, ended),
    onDone: ({ res }, done) => NODE.onDone(res, done),
    cut: ({ res }) => NODE.cut(res),
    // Koa sends it, once the middleware around has seen it.
    send: (ctx, status, type, body) => {
      ctx.status = status
      ctx.set('content-type', type)
      ctx.body = body
    },
  }
}

/** Of a route and a method: a text such as `GET /users/:id`. Bounded, as a program may declare any number of routes. */
const PATTERNS = new Map<string, Map<string, string>>()
const MAX_PATTERNS = 10_000

/** The route of @koa/router that a limiter of its own stands on: for others it is not known yet. */
function routeOf(ctx: Context): string | undefined {
  const { _matchedRoute: path } = ctx as { readonly _matchedRoute?: unknown }
  if (typeof path !== 'string') return undefined
  const asked = ctx.req.method ?? ''
  // What answers HEAD is declared for GET.
  const method = asked === 'HEAD' ? 'GET' : asked
  const byMethod = PATTERNS.get(path) ?? new Map<string, string>()
  const known = byMethod.get(method)
  if (known !== undefined) return known
  const pattern = `${method} ${path}`
  if (PATTERNS.size < MAX_PATTERNS) PATTERNS.set(path, byMethod.set(method, pattern))
  return pattern
}
