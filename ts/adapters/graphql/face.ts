import type { CallFace } from '../../calls/face.ts'
import { canonical } from '../../client-ip/ip.ts'
import { UNKNOWN } from '../../http/client.ts'
import { peerOf } from '../../http/node.ts'
import { Operation } from './operation.ts'
import type { OwnOptions } from './plugin-options.ts'

/** What limiters and the shield know of operations. */
export function faceOf({ operations, address }: OwnOptions): CallFace<Operation> {
  const routes = routesOf(operations)
  return {
    peer: ({ context, request }) => {
      if (address === undefined) return request === undefined ? UNKNOWN : peerOf(request)
      const given = address(context)
      return (typeof given === 'string' ? canonical(given) : undefined) ?? UNKNOWN
    },
    headers: Operation.headersOf,
    // The name is what a client has sent: only those that the program lists are shown.
    route: ({ kind, operationName }) =>
      (operationName === undefined ? undefined : routes.get(`${kind} ${operationName}`)) ?? kind,
    target: ({ kind, operationName = '' }) => `${kind} ${operationName}`,
    onEnd: Operation.onEnd,
  }
}

/** Texts that were made before: a row is looked up by them for each operation. */
function routesOf(operations: readonly string[]): ReadonlyMap<string, string> {
  const kinds = ['query', 'mutation', 'subscription']
  const all = operations.flatMap((name) => kinds.map((kind) => `${kind} ${name}`))
  return new Map(all.map((route) => [route, route]))
}
