import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A TCP proxy that can break the wire in ways a server does not. */
export class Wire {
  /** Bytes that are still passed on to Redis; after them the connection breaks. */
  cutAfterRequest: ((bytes: Buffer) => boolean) | undefined
  /** Whether answers are dropped, as by a socket that is open on one side only. */
  silent = false
  readonly #target: number
  readonly #server: Server
  readonly #pairs = new Set<[Socket, Socket]>()

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((socket) => this.#join(socket))
  }

  /** A wire before the port, closed at the end of the test. */
  static async before(port: number): Promise<Wire> {
    const wire = new Wire(port)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    onTestFinished(() => wire.close())
    return wire
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`
  }

  /** Cuts every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }

  #join(near: Socket): void {
    const far = createConnection(this.#target, '127.0.0.1')
    const pair: [Socket, Socket] = [near, far]
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    near.on('data', (bytes) => this.#forward(bytes, near, far))
    far.on('data', (bytes) => {
      if (!this.silent && !near.destroyed) near.write(bytes)
    })
    for (const socket of pair) socket.on('error', end).on('close', end)
  }

  /** The request still reaches Redis; its answer does not come back. */
  #forward(bytes: Buffer, near: Socket, far: Socket): void {
    far.write(bytes)
    if (this.cutAfterRequest?.(bytes) !== true) return
    far.removeAllListeners('data')
    far.on('data', () => near.destroy())
  }
}
