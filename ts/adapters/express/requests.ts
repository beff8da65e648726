import type { Request, Response } from 'express'
import type { HttpAdapter } from '../../http/adapter.ts'
import { isExplicitTrust, type TrustFn } from '../../http/client.ts'
import type { Warnings } from '../../http/events.ts'
import { NODE } from '../../http/node.ts'
import { isApp } from './internals.ts'
import { routeOf } from './patterns.ts'

/** Express requests and responses. */
export function expressAdapter(warnings: Warnings): HttpAdapter<Request, Response> {
  let known: { readonly trusts: TrustFn; readonly isExplicit: boolean } | undefined
  const trustsProxy = (app: Request['app']): boolean => {
    const trusts = app.get('trust proxy fn') as TrustFn
    // The setting may change while the server runs.
    if (known?.trusts === trusts) return known.isExplicit
    const setting: unknown = app.get('trust proxy')
    const isExplicit = setting !== false && isExplicitTrust(setting, trusts, warnings)
    known = { trusts, isExplicit }
    return isExplicit
  }
  return {
    ...NODE,
    route: routeOf,
    forwarded: (request, peer) => {
      const { app } = request
      // A request that did not come through an Express app: from connect, or from a plain server.
      const isTrusted = isApp(app) && trustsProxy(app)
      return isTrusted ? [peer, ...request.ips.reverse()] : undefined
    },
    isProxy: ({ app }, peer) =>
      isApp(app) && trustsProxy(app) && (app.get('trust proxy fn') as TrustFn)(peer, 0),
  }
}
