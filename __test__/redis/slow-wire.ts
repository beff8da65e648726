import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Passes bytes on both ways, with delays that a test sets. Closed at the end of the test. */
export class SlowWire {
  /** Milliseconds between a connection and its first byte towards the server. */
  connectMs = 0
  /** Milliseconds that each piece towards the server is held up. */
  requestMs = 0
  /** Connections that have been made. */
  connections = 0
  readonly #target: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((socket) => this.#join(socket))
  }

  static async before(port: number): Promise<SlowWire> {
    const wire = new SlowWire(port)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    onTestFinished(() => wire.close())
    return wire
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}/0`
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #join(near: Socket): void {
    this.connections++
    const far = createConnection(this.#target, '127.0.0.1')
    const pair = [near, far]
    for (const socket of pair) this.#sockets.add(socket.setNoDelay(true))
    const end = (): void => {
      for (const socket of pair) this.#sockets.delete(socket.destroy())
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    const opensAt = performance.now() + this.connectMs
    near.on('data', (bytes) => {
      const ms = Math.max(this.requestMs, opensAt - performance.now())
      // Timers of one length fire in order, so bytes keep theirs.
      if (ms <= 0) far.write(bytes)
      else setTimeout(() => far.writable && far.write(bytes), ms)
    })
    far.on('data', (bytes) => near.writable && near.write(bytes))
  }
}
