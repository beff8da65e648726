import { executionAsyncResource } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/*
 * A limiter that is made for a request counts from zero with each, so it limits nothing, and each takes a
 * table of its own. That is told once, from three signs that cost nothing while requests are decided about.
 */

/** This many limiters, made while a server serves, are made for its requests. */
const MANY = 1_000

let isTold = false
let isAsked = false
let isServing = false
let open = 0

/** Takes notice of a limiter that is made. */
export function limiterMade(): void {
  if (isServing) open++
  if (open >= MANY || isInRequest()) tellOfLimitersPerRequest()
}

/** Takes notice of one that is closed, as those of a test's many servers are. */
export function limiterClosed(): void {
  if (open > 0) open--
}

/**
 * Takes notice of the first request that a limiter is asked about.
 *
 * @param isFresh whether the limiter was made just before, without giving anything else a chance to run:
 * the request was there first
 */
export function limiterAsked(
  incoming: Pick<IncomingMessage, 'socket'> | undefined,
  isFresh: boolean,
): void {
  isAsked = true
  // Of a request that a test has made there is no server.
  if (!isOfServer(incoming?.socket)) return
  isServing = true
  if (isFresh) tellOfLimitersPerRequest()
}

/** Whether any limiter of this process has been asked about a request. */
export function wasAnyAsked(): boolean {
  return isAsked
}

/** Tells it, once a process. */
export function tellOfLimitersPerRequest(): void {
  if (isTold) return
  isTold = true
  process.emitWarning(
    'a limiter was made while a request was being handled. One that is made for each request counts from ' +
      'zero each time and limits nothing: make it once, where the server is set up. For limits that depend ' +
      'on the request give a function: limits: (request) => ...',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_MADE_PER_REQUEST' },
  )
}

/** Whether node:http is just handing a request to its server's listeners. */
function isInRequest(): boolean {
  const { type, socket } = executionAsyncResource() as { type?: unknown; socket?: Socket }
  // The response that a client has received is one as well, but comes from no server.
  return type === 'HTTPINCOMINGMESSAGE' && isOfServer(socket)
}

function isOfServer(socket: Socket | undefined): boolean {
  try {
    return (socket as { server?: unknown } | undefined)?.server !== undefined
  } catch {
    // The socket of HTTP/2 stands for one that is gone.
    return false
  }
}
