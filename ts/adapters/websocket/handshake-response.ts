import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Ending, HttpAdapter } from '../../http/adapter.ts'
import { IN_PROCESS } from '../../http/client.ts'
import { setEach } from '../../http/legacy-headers.ts'
import { NODE } from '../../http/node.ts'
import { EndListeners } from '../../http/response-end.ts'

/** What a handshake runs over: it closes, with or without an answer. */
export interface Closing {
  once(event: 'close', listener: () => void): unknown
  removeListener(event: 'close', listener: () => void): unknown
}

/** How a refusal is answered: by HTTP, or not at all where the handshake is over. */
export type Answer = (status: number, headers: ReadonlyMap<string, string>, body: string) => void

/** The answer to a handshake, as the HTTP core fills it in: kept here until it is sent. */
export class HandshakeResponse {
  readonly headers: Map<string, string> = new Map()
  status = 429
  readonly #over: Closing
  readonly #answer: Answer
  readonly #end = new EndListeners()
  readonly #gone = (): void => this.#endWith(undefined)

  constructor(over: Closing, answer: Answer) {
    this.#over = over
    this.#answer = answer
    over.once('close', this.#gone)
  }

  get isFinished(): boolean {
    return this.#end.isOver
  }

  /** As an adapter's `onEnd`. */
  onEnd(ended: (ending: Ending) => void): () => void {
    return this.#end.add(ended)
  }

  /** The handshake goes on: what answers it is no concern of the limits. */
  admit(): void {
    this.#endWith(101)
  }

  send(status: number, type: string, body: string): void {
    if (this.isFinished) return
    this.headers.set('content-type', type)
    this.headers.set('content-length', String(Buffer.byteLength(body)))
    this.#endWith(status)
    this.#answer(status, this.headers, body)
  }

  #endWith(status: Ending): void {
    if (this.isFinished) return
    this.#over.removeListener('close', this.#gone)
    this.#end.end(status)
  }
}

type Raw = Pick<import('node:stream').Duplex, 'end' | 'destroy' | 'once' | 'writable'>

/** Answers on the connection itself, which node:http has handed over, and ends it. */
export function answerRaw(socket: Raw): Answer {
  return (status, headers, body) => {
    if (!socket.writable) {
      socket.destroy()
      return
    }
    const { STATUS_CODES } = process.getBuiltinModule('node:http')
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`, 'connection: close']
    for (const [name, value] of headers) {
      if (name !== 'connection') lines.push(`${name}: ${value}`)
    }
    lines.push(`date: ${new Date().toUTCString()}`)
    // As node:http ends a connection: what the client still sends is not read.
    socket.once('finish', () => socket.destroy())
    socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
  }
}

/** Answers by a response of node:http: long polling begins with a plain request. */
export function answerPlain(response: ServerResponse): Answer {
  return (status, headers, body) => {
    if (response.headersSent) return
    response.writeHead(status, Object.fromEntries(headers))
    response.end(body)
  }
}

/** For a connection that is upgraded by now: there is no one to answer by HTTP. */
export function answerNothing(): void {}

/** Whether a client is connected: not for `injectWS` of @fastify/websocket, which makes a request up. */
function hasSocket({ socket }: Partial<IncomingMessage>): boolean {
  return socket !== undefined
}

/** Requests to upgrade, as the HTTP core sees them. */
export const HANDSHAKE: HttpAdapter<IncomingMessage, HandshakeResponse> = {
  ...NODE,
  peer: (request) => (hasSocket(request) ? NODE.peer(request) : IN_PROCESS),
  incoming: (request) => (hasSocket(request) ? request : undefined),
  outgoing: () => undefined,
  setHeader: (response, name, value) => {
    response.headers.set(name, value)
  },
  setFigures: (response, ...figures) => setEach(HANDSHAKE, response, figures),
  removeHeader: (response, name) => {
    response.headers.delete(name)
  },
  setStatus: (response, status) => {
    response.status = status
  },
  isFinished: (response) => response.isFinished,
  onEnd: (response, ended) => response.onEnd(ended),
  onDone: (response, done) => response.onEnd(done),
  cut: () => {},
  send: (response, status, type, body) => response.send(status, type, body),
}
