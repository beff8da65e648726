import type { Request, Response } from 'express'
import { clientOf } from '../../client-ip/trust-proxy.ts'
import type { HttpAdapter } from '../../http/adapter.ts'
import { UNIX } from '../../http/client-ip.ts'
import { NODE, peerOf } from '../../http/node.ts'
import { type Believes, namesProxies } from '../../http/proxy.ts'
import type { Warnings } from '../../http/warning.ts'
import { isApp } from './internals.ts'

/** Express' requests and responses. */
export function expressFramework(warnings: Warnings): HttpAdapter<Request, Response> {
  let known: { readonly believes: Believes; readonly isNamed: boolean } | undefined
  const trustsProxy = ({ app }: Request): boolean => {
    // A request that no Express app has seen: of connect, or of a server by itself.
    if (!isApp(app)) return false
    const believes = app.get('trust proxy fn') as Believes
    // The setting may change while the server runs.
    if (known?.believes === believes) return known.isNamed
    const setting: unknown = app.get('trust proxy')
    const isNamed = setting !== false && namesProxies(setting, believes, warnings)
    known = { believes, isNamed }
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
