import type { ServerResponse } from 'node:http'
import type { Ending, HttpAdapter } from '../http/adapter.ts'

/**
 * As an adapter's `onEnd`, for a call that is never cancelled and may come twice: a tenth of the cost for the usual
 * response, because every request of a server behind a shield pays it.
 */
export function tellEnd(
  adapter: HttpAdapter,
  response: object,
  ended: (ending: Ending) => void,
): void {
  const raw = adapter.outgoing(response)
  if (raw === undefined || !isUsual(raw)) {
    adapter.onEnd(response, ended)
    return
  }
  const { writeHead } = raw
  const patched = function (this: ServerResponse, ...args: unknown[]): ServerResponse {
    const result = Reflect.apply(writeHead, this, args) as ServerResponse
    if (raw.headersSent) ended(raw.statusCode)
    return result
  }
  raw.writeHead = patched as typeof writeHead
  raw.on('close', () => ended(raw.headersSent ? raw.statusCode : undefined))
}

/** One that waits behind others on its connection gets no event when that closes; in HTTP/2 a reset is another. */
function isUsual({ socket, req }: ServerResponse): boolean {
  return socket !== null && req?.httpVersionMajor === 1
}
