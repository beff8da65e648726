import type { IncomingHttpHeaders } from 'node:http'
import type { Ending, HttpAdapter } from '../http/adapter.ts'

/** All that needs to be known of a protocol's calls, in place of an adapter of HTTP. */
export interface CallFace<Call> {
  /**
   * The address at the other end of the connection, canonical (`socketAddress`); `unix` for a Unix-domain socket.
   * `undefined` if the caller has left and its address is no longer known.
   */
  peer(call: Call): string | undefined
  /** What came with the call in the manner of headers, for `trust` and `byHeader`: names in lower case. */
  headers(call: Call): IncomingHttpHeaders
  /** What is called, as the program names it, and never what a client sent: a row of an insight. */
  route(call: Call): string | undefined
  /** What is called, for the shield: distinct ones that fail are a scan. May be what a client sent. */
  target(call: Call): string
  /**
   * Calls `ended` once, when the call is over: with a status of HTTP, or `undefined` if it was cut off.
   *
   * @returns cancels the call
   */
  onEnd(call: Call, ended: (ending: Ending) => void): () => void
}

/** An adapter whose requests and responses both are calls. What is sent is up to the protocol. */
export function adapterOf<Call>(face: CallFace<Call>): HttpAdapter<Call, Call> {
  const nothing = (): void => {}
  const none = (): undefined => undefined
  return {
    peer: face.peer,
    headers: face.headers,
    route: face.route,
    target: face.target,
    onEnd: face.onEnd,
    onDone: (call, done) => face.onEnd(call, () => done()),
    incoming: none,
    outgoing: none,
    method: () => 'POST',
    forwarded: none,
    isProxy: () => false,
    isFinished: () => false,
    setHeader: nothing,
    setFigures: nothing,
    removeHeader: nothing,
    setStatus: nothing,
    cut: nothing,
    send: nothing,
  }
}
