import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { ChargeOwner } from './charge-record.ts'
import type { ClientResolver } from './client.ts'
import type { Events } from './events.ts'
import type { SetHeader } from './headers.ts'
import type { ResolvedHttpOptions } from './resolve-options.ts'
import type { DenialTemplate } from './response.ts'

/** How a response ends: with this status, or `undefined` if the client left before its headers were sent. */
export type Ending = number | undefined

/** All that the core needs to know of a framework's requests and responses. */
export interface HttpAdapter<Request, Response> {
  /**
   * The address at the other end of the connection, canonical; `unix` for a Unix-domain socket. `undefined` if
   * the client has left and its address is no longer known.
   */
  peer(request: Request): string | undefined
  /** Whether the client has left and its address is no longer known. */
  isGone(request: Request): boolean
  /** The request of node:http that this is, if it is one. */
  incoming(request: Request): Pick<IncomingMessage, 'socket'> | undefined
  headers(request: Request): IncomingHttpHeaders
  /** In capitals. */
  method(request: Request): string
  /** Whether the connection has to end after a refusal: in HTTP/1, if the body is too long to read and drop. */
  mustClose(request: Request): boolean
  /** Has Node read no more of the body. */
  discardBody(request: Request): void
  /**
   * The client's address as the framework's own proxy setting resolves it, in canonical form.
   * `undefined` if the client has left.
   */
  client(request: Request): string | undefined
  /** Whether the framework's own setting lists proxies that it trusts. */
  trustsProxy(request: Request): boolean
  readonly setHeader: SetHeader<Response>
  removeHeader(response: Response, name: string): void
  setStatus(response: Response, status: number): void
  /** Whether the request can no longer be answered: it was, or the client has left. */
  isFinished(response: Response): boolean
  /**
   * Calls `ended` once, when the response's headers have been sent or can't be.
   *
   * @returns cancels the call
   */
  onEnd(response: Response, ended: (ending: Ending) => void): () => void
  /** Aborts a response that will never be finished, whose client would wait. A complete one stays as it is. */
  cut(response: Response): void
  /** Sends a whole response. */
  send(response: Response, status: number, type: string, body: string): void
}

/** What the parts of one limiter share. */
export interface LimiterContext<Request extends object, Response extends object> {
  readonly options: ResolvedHttpOptions<Request, Response>
  readonly adapter: HttpAdapter<Request, Response>
  readonly client: ClientResolver<Request, Response>
  readonly events: Events<Request>
  readonly owner: ChargeOwner
  readonly template: DenialTemplate
  /** Whether requests without a key are expected: option `missingKey` says so, or there is no key function. */
  readonly expectsMissingKeys: boolean
}
