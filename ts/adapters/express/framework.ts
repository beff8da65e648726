import type { Request, Response } from 'express'
import { clientOf } from '../../client-ip/trust-proxy.ts'
import type { HttpAdapter } from '../../http/adapter.ts'
import { isExplicitTrust, type TrustFn, UNIX } from '../../http/client-ip.ts'
import { NODE, peerOf } from '../../http/node.ts'
import type { Warnings } from '../../http/warning.ts'
import { isApp } from './internals.ts'

/** Express' requests and responses. */
export function expressFramework(warnings: Warnings): HttpAdapter<Request, Response> {
  let known: { readonly trusts: TrustFn; readonly isNamed: boolean } | undefined
  const trustsProxy = ({ app }: Request): boolean => {
    // A request that no Express app has seen: of connect, or of a server by itself.
    if (!isApp(app)) return false
    const trusts = app.get('trust proxy fn') as TrustFn
    // The setting may change while the server runs.
    if (known?.trusts === trusts) return known.isNamed
    const setting: unknown = app.get('trust proxy')
    const isNamed = setting !== false && isExplicitTrust(setting, trusts, warnings)
    known = { trusts, isNamed }
    return isNamed
  }
  return {
    ...NODE,
    client: (request) => {
      const peer = peerOf(request)
      if (peer === undefined || peer === UNIX || !trustsProxy(request)) return peer
      return clientOf([peer, ...request.ips.reverse()])
    },
    trustsProxy,
  }
}
