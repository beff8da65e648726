import type { ProtectedServer } from './protect.ts'

/** What Node keeps below a connection. None of it is documented: what is not there is not used. */
export interface Handle {
  readonly fd?: unknown
  getpeername?(out: { address?: unknown }): number
  reset?(): number
  close(): void
}

/** The same below a server. */
interface ServerHandle {
  onconnection?: OnConnection
}

type OnConnection = (this: unknown, status: number, client: Handle | undefined) => void

interface Listening extends ProtectedServer {
  readonly _handle?: ServerHandle | null
}

/**
 * Sees the connections of a server before Node makes a socket of each, which is half of what they cost.
 *
 * @param admit whether the server gets to see the connection; else it has been closed
 * @returns undoes it
 */
export function interceptHandles(
  server: ProtectedServer,
  admit: (client: Handle, address: string) => boolean,
): () => void {
  let restore: () => void = () => {}
  const start = (): void => {
    restore()
    restore = () => {}
    const { _handle: handle } = server as Listening
    const original = handle?.onconnection
    if (!handle || typeof original !== 'function') return
    const own: OnConnection = function (this: unknown, status, client) {
      const address = status === 0 && client !== undefined ? addressOf(client) : undefined
      if (address === undefined || admit(client as Handle, address)) {
        original.call(this, status, client)
      }
    }
    handle.onconnection = own
    restore = () => {
      if (handle.onconnection === own) handle.onconnection = original
    }
  }
  start()
  server.on('listening', start)
  return () => {
    server.off('listening', start)
    restore()
  }
}

function addressOf(client: Handle): string | undefined {
  const peer: { address?: unknown } = {}
  if (typeof client.getpeername !== 'function' || client.getpeername(peer) !== 0) return undefined
  return typeof peer.address === 'string' ? peer.address : undefined
}

/**
 * Ends a connection that has no socket yet.
 *
 * @param text what it gets to read; `undefined` for a reset
 * @returns false if it can't be done on this system
 */
export function endHandle(client: Handle, text: string | undefined): boolean {
  if (text === undefined) {
    if (typeof client.reset !== 'function') return false
    client.reset()
    return true
  }
  const { fd } = client
  if (typeof fd !== 'number' || fd < 0) return false
  try {
    // A new connection has room for all of it.
    process.getBuiltinModule('node:fs').writeSync(fd, text)
  } catch {
    // The client has left.
  }
  client.close()
  return true
}
