import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { shield } from 'ratethrottle/shield'
import { expect, it, onTestFinished } from 'vitest'
import { text } from '../../http/client.ts'

const BAD = '127.0.0.9'
const GOOD = '127.0.0.8'

/** A server that listens, and its handle in Node, of which nothing is documented. */
async function listening() {
  const guard = shield({ mode: 'enforce' })
  const server = createServer((_request: unknown, response: ServerResponse) => response.end('hi'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    guard.close()
  })
  const { _handle: handle } = server as Server as Server & { readonly _handle: ServerHandle }
  return { guard, server, handle, port: (server.address() as AddressInfo).port }
}

interface ServerHandle {
  onconnection(status: number, client: object): void
}

/** The first line that a client gets, or the code of its error. */
async function status(port: number, from: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from })
  let read = ''
  socket.on('data', (data) => {
    read += data
  })
  socket.write(text('/', { connection: 'close' }))
  return new Promise((resolve) => {
    socket.on('error', (error: Error & { code?: string }) => resolve(error.code ?? ''))
    socket.on('close', () => resolve(read.slice(0, 12)))
  })
}

it('where a handle has no descriptor, the socket of a blocked source is refused', async () => {
  const { guard, server, handle, port } = await listening()
  guard.protect(server)
  const { onconnection } = handle
  let seen = 0
  handle.onconnection = function (code, client) {
    // As on systems where Node has none.
    seen++
    Object.defineProperty(client, 'fd', { value: undefined })
    return onconnection.call(this, code, client)
  }
  expect(await status(port, BAD)).toBe('HTTP/1.1 200')
  guard.block(BAD, 90_000)
  for (let i = 0; i < 3; i++) expect(await status(port, BAD)).toBe('HTTP/1.1 429')
  expect(await status(port, GOOD)).toBe('HTTP/1.1 200')
  expect(seen).toBe(5)
})

it('a listener of once hears one connection, also after the protection has ended', async () => {
  const { guard, server, port } = await listening()
  const heard = { once: 0, later: 0, on: 0 }
  server.once('connection', () => heard.once++)
  server.on('connection', (_socket: Socket) => heard.on++)
  let undo = guard.protect(server)
  guard.block(BAD, 90_000)
  // A refused connection is none that it hears of.
  await status(port, BAD)
  expect(heard).toEqual({ once: 0, later: 0, on: 0 })
  for (let i = 0; i < 3; i++) await status(port, GOOD)
  expect(heard).toEqual({ once: 1, later: 0, on: 3 })
  undo()
  for (let i = 0; i < 3; i++) await status(port, GOOD)
  expect(heard).toEqual({ once: 1, later: 0, on: 6 })
  // One that has heard nothing yet hears once after it.
  server.once('connection', () => heard.later++)
  undo = guard.protect(server)
  undo()
  for (let i = 0; i < 2; i++) await status(port, GOOD)
  expect(heard).toEqual({ once: 1, later: 1, on: 8 })
  // That of Node itself, and that of this test.
  expect(server.rawListeners('connection').length).toBe(2)
})
