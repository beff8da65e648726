import { once } from 'node:events'
import { connect } from 'node:http2'
import { onTestFinished } from 'vitest'

/**
 * A client of HTTP/2 that is none of gRPC: it leaves when it likes. One of grpc-js that cancels a call in the turn in
 * which it begins does not tell the server, so that the call stays open.
 */
export function rawClient(port: number) {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  onTestFinished(() => session.destroy())
  const request = (path: string, headers: object = {}) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    stream.on('error', () => {})
    return stream
  }
  return {
    session,
    request,
    /** Calls a path, and says with which status of gRPC it ended. */
    ask: async (path: string, headers: object = {}): Promise<string | undefined> => {
      const stream = request(path, headers)
      let status: string | undefined
      const note = (trailers: Record<string, unknown>): void => {
        status ??= trailers['grpc-status'] as string | undefined
      }
      stream.on('response', note).on('trailers', note).resume()
      stream.end(frame('a'))
      await once(stream, 'close')
      return status
    },
  }
}

function frame(text: string): Buffer {
  const message = Buffer.from(text)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}
