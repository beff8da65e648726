import type { IncomingHttpHeaders } from 'node:http'
import type {
  Metadata,
  ServerInterceptingCallInterface,
  ServerMethodDefinition,
} from '@grpc/grpc-js'
import type { CallFace } from '../../calls/face.ts'
import type { Ending } from '../../http/adapter.ts'
import { peerOf } from './peer.ts'

/** A call, as key functions, hooks and `skip` see it. */
export interface GrpcCall {
  /** As the server defines it: `/pkg.Service/Method`. */
  readonly method: string
  /** What the client sent with the call. A client can write what it likes there. */
  readonly metadata: Metadata
  /** The other end of the connection, as grpc-js writes it: an address and a port, or `unknown`. */
  readonly peer: string
  /** Its address, canonical; `unix` for a Unix-domain socket. `undefined` if the client has left. */
  readonly address: string | undefined
  /** Whether the client sends a stream of messages. */
  readonly requestStream: boolean
  /** Whether the server sends a stream of messages. */
  readonly responseStream: boolean
  /** When the client gives up; `Infinity` if it does not. */
  readonly deadline: Date | number
  /** The `:authority` that the client asked for. */
  readonly host: string
  /** The client's certificate, where TLS asks for one. */
  readonly authContext: ReturnType<ServerInterceptingCallInterface['getAuthContext']>
}

/** A call of a server, and what is to be done when it is over. */
export class ServerCall implements GrpcCall {
  readonly method: string
  readonly metadata: Metadata
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly #call: ServerInterceptingCallInterface
  #headers: IncomingHttpHeaders | undefined
  #onEnd: Set<(ending: Ending) => void> | undefined

  constructor(
    { path, requestStream, responseStream }: ServerMethodDefinition<unknown, unknown>,
    call: ServerInterceptingCallInterface,
    metadata: Metadata,
  ) {
    this.method = path
    this.metadata = metadata
    this.requestStream = requestStream
    this.responseStream = responseStream
    this.#call = call
  }

  get peer(): string {
    return this.#call.getPeer()
  }

  get address(): string | undefined {
    return peerOf(this.#call)
  }

  get deadline(): Date | number {
    return this.#call.getDeadline()
  }

  get host(): string {
    return this.#call.getHost()
  }

  get authContext(): GrpcCall['authContext'] {
    return this.#call.getAuthContext()
  }

  /** The metadata that is text. */
  headers(): IncomingHttpHeaders {
    if (this.#headers !== undefined) return this.#headers
    const headers: IncomingHttpHeaders = Object.create(null)
    for (const name of Object.keys(this.metadata.getMap())) {
      const texts = this.metadata.get(name).filter((value) => typeof value === 'string')
      if (texts.length > 0) headers[name] = texts.join(', ')
    }
    this.#headers = headers
    return headers
  }

  /** Calls `ended` when the call is over. @returns cancels that */
  onEnd(ended: (ending: Ending) => void): () => void {
    this.#onEnd ??= new Set()
    this.#onEnd.add(ended)
    return () => this.#onEnd?.delete(ended)
  }

  /** The call is over, with a status of HTTP, or cut off. */
  ended(ending: Ending): void {
    const tell = this.#onEnd ?? []
    this.#onEnd = undefined
    for (const ended of tell) ended(ending)
  }
}

/** What the gate asks of calls. */
export const FACE: CallFace<ServerCall> = {
  peer: (call) => call.address,
  headers: (call) => call.headers(),
  // grpc-js answers paths that the server does not define itself, before any interceptor.
  route: (call) => call.method,
  target: (call) => call.method,
  onEnd: (call, ended) => call.onEnd(ended),
}
