import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { canonical, socketAddress } from '../../client-ip/ip.ts'
import { UNIX } from '../../http/client.ts'

/** As far as the peer goes: versions before 1.13 have no `getConnectionInfo`. */
export type Peered = Pick<ServerInterceptingCallInterface, 'getPeer'> &
  Partial<Pick<ServerInterceptingCallInterface, 'getConnectionInfo'>>

/**
 * The address at the other end of a call's connection, canonical; `unix` for a Unix-domain socket, and for a connection
 * without addresses. `undefined` for a client that has left and whose address is no longer known.
 */
export function peerOf(call: Peered): string | undefined {
  const info = call.getConnectionInfo?.()
  if (info === undefined) return addressIn(call.getPeer())
  const { remoteAddress, localAddress } = info
  if (remoteAddress !== undefined) return socketAddress(remoteAddress)
  // A socket of TCP knows its own end also when the other has gone: those clients are not of the Unix socket.
  return localAddress === undefined ? UNIX : undefined
}

/**
 * The address in the text of a peer: `1.2.3.4:5678` or `::1:5678` as grpc-js writes it, `ipv4:1.2.3.4:5678`,
 * `ipv6:[::1]:5678` or `unix:/path` as other implementations do.
 */
export function addressIn(peer: string): string | undefined {
  if (peer === 'unknown' || /^(?:unix|unix-abstract|vsock):/.test(peer)) return UNIX
  const text = peer
    .replace(/^ipv[46]:/, '')
    .replace(/%5B/i, '[')
    .replace(/%5D/i, ']')
  const [, bracketed] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? []
  if (bracketed !== undefined) return canonical(bracketed)
  // The port comes last. Only an address without one is left whole.
  return canonical(text.replace(/:\d+$/, '')) ?? canonical(text)
}
