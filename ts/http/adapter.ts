import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { SetHeader } from './headers.ts'

/** How a response ends: with this status, or `undefined` when the client had gone before its headers were sent. */
export type Ending = number | undefined

/** All that the core needs to know of a framework's requests and responses. */
export interface HttpAdapter<Request, Response> {
  /**
   * Who is at the other end of the connection: a canonical address, or `unix` where there are none.
   * `undefined` if the client has gone and can't be named any more.
   */
  peer(request: Request): string | undefined
  /** Whether the client has gone and can't be named any more. */
  isGone(request: Request): boolean
  /** The request of node:http that this is, if it is one. */
  incoming(request: Request): Pick<IncomingMessage, 'socket'> | undefined
  headers(request: Request): IncomingHttpHeaders
  /** In capitals. */
  method(request: Request): string
  /** Of HTTP: 1 or 2. */
  version(request: Request): number
  /** Whether a request announces a body that is too long to read and forget. */
  hasLongBody(request: Request): boolean
  /** Sees to it that Node reads nothing more of a body that nobody wants. */
  discardBody(request: Request): void
  /**
   * The client's address as the framework's own proxy setting resolves it, in canonical form.
   * `undefined` when there is none: the client has gone.
   */
  client(request: Request): string | undefined
  /** Whether the framework's own setting names proxies that are believed. */
  trustsProxy(request: Request): boolean
  readonly setHeader: SetHeader<Response>
  removeHeader(response: Response, name: string): void
  setStatus(response: Response, status: number): void
  /** Whether nothing can be answered any more: somebody did, or the client has gone. */
  isFinished(response: Response): boolean
  /**
   * Calls `ended` once, when the response's headers have been sent or can't be.
   *
   * @returns calls it off
   */
  onEnd(response: Response, ended: (ending: Ending) => void): () => void
  /** Breaks off a response that will never be finished: its client would wait. One that is whole stays as it is. */
  cut(response: Response): void
  /** Answers in full. */
  send(response: Response, status: number, type: string, body: string): void
}
