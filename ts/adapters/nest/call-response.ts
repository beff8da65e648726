import type { Ending } from '../../http/adapter.ts'
import { EndListeners } from '../../http/response-end.ts'

/** Where the end of a connection is told: a socket, or what a gateway calls its client. */
export interface Connection {
  once(event: string, listener: () => void): unknown
}

/** The responses of each connection that are to be told its end: one listener, however many they are. */
const OPEN = new WeakMap<Connection, Set<CallResponse>>()

function watch(connection: Connection, event: string): Set<CallResponse> {
  const responses = new Set<CallResponse>()
  OPEN.set(connection, responses)
  connection.once(event, () => {
    for (const response of [...responses]) response.end(undefined)
  })
  return responses
}

/**
 * Stands for the response of a call that has none of its own: a message of a gateway or of a microservice. It ends with
 * its handler, or when the client leaves.
 */
export class CallResponse {
  readonly #end = new EndListeners()
  readonly #connection: Connection | undefined
  readonly #closes: string
  readonly #isOpen: () => boolean

  /**
   * @param closes the event that says that the connection is closed
   * @param isOpen whether the client can still be answered
   */
  constructor(connection: Connection | undefined, closes: string, isOpen: () => boolean) {
    this.#connection = connection
    this.#closes = closes
    this.#isOpen = isOpen
  }

  get isOver(): boolean {
    return this.#end.isOver || !this.#isOpen()
  }

  /** @param status of HTTP, as the handler's result or its error would have; `undefined`: the client has left */
  end(status: Ending): void {
    if (this.#end.isOver) return
    if (this.#connection !== undefined) OPEN.get(this.#connection)?.delete(this)
    this.#end.end(status)
  }

  /** @returns cancels the call */
  onEnd(ended: (ending: Ending) => void): () => void {
    if (!this.#isOpen()) this.end(undefined)
    if (!this.#end.isOver && this.#connection !== undefined) {
      const responses = OPEN.get(this.#connection) ?? watch(this.#connection, this.#closes)
      responses.add(this)
    }
    return this.#end.add(ended)
  }
}
