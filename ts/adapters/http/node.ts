import type { IncomingMessage, ServerResponse } from 'node:http'
import { socketAddress } from '../../address/address.ts'
import { UNIX } from './client.ts'
import type { Ending, Framework } from './framework.ts'

/** Who a socket says is at its other end, canonical. */
export function peerOf({ socket }: Pick<IncomingMessage, 'socket'>): string | undefined {
  const address = socket?.remoteAddress
  if (address !== undefined) return socketAddress(address)
  return socket?.destroyed === false ? UNIX : undefined
}

/** Calls `ended` when the response has been sent, or can't be. */
export function onEnd(response: ServerResponse, ended: (ending: Ending) => void): void {
  response.once('close', () => {
    ended(response.writableFinished ? response.statusCode : undefined)
  })
}

/** Whether nothing can be answered any more. */
export function isOver(response: ServerResponse): boolean {
  return response.headersSent || response.destroyed
}

/** Answers in full. */
export function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (isOver(response)) return
  response.statusCode = status
  response.setHeader('content-type', type)
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

/** `node:http` as it is, and what frameworks have of it. */
export const NODE: Framework<IncomingMessage, ServerResponse> = {
  socket: (request) => request.socket,
  headers: (request) => request.headers,
  method: (request) => request.method ?? '',
  client: peerOf,
  followsProxies: () => false,
  setHeader: (response, name, value) => {
    response.setHeader(name, value)
  },
  isOver,
  onEnd,
  send,
}
