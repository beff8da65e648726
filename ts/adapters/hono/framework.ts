import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { ContentfulStatusCode, StatusCode } from 'hono/utils/http-status'
import type { Ending, HttpAdapter } from '../../http/adapter.ts'
import { onEnd } from '../../http/ending.ts'
import { cut, discardBody, hasLongBody, isFinished, peerOf } from '../../http/node.ts'
import type { Warnings } from '../../http/warning.ts'

/** What @hono/node-server puts in `c.env`. */
export interface NodeBindings {
  readonly incoming?: IncomingMessage
  readonly outgoing?: ServerResponse
}

/** All callers that come without a connection, as one. No proxy is called so, hence none of them is believed. */
const IN_PROCESS = 'in-process'
const ADVICE =
  'a request came without a connection of node:http, as from app.request() in a test or on another ' +
  'runtime: all such callers share one budget. Give a key to tell them apart'

/** Hono's contexts, which are request and response in one. */
export function honoFramework(warnings: Warnings): HttpAdapter<Context, Context> {
  const peer = (c: Context): string | undefined => {
    const { incoming } = nodeOf(c)
    if (incoming !== undefined) return peerOf(incoming)
    warnings.warnOnce('RATETHROTTLE_NO_CONNECTION', ADVICE)
    return IN_PROCESS
  }
  return { ...HONO, peer, client: peer }
}

/** Tells the end of a request that is no `node:http` request to the limits that wait for it. */
export function tellEnd(c: Context): void {
  for (const ended of ENDINGS.get(c) ?? []) ended(c.res.status)
}

const ENDINGS = new WeakMap<Context, Set<(ending: Ending) => void>>()

const HONO: Omit<HttpAdapter<Context, Context>, 'peer' | 'client'> = {
  isGone: (c) => {
    const { incoming } = nodeOf(c)
    return incoming !== undefined && peerOf(incoming) === undefined
  },
  incoming: (c) => nodeOf(c).incoming,
  headers: (c) => nodeOf(c).incoming?.headers ?? Object.fromEntries(c.req.raw.headers),
  method: (c) => c.req.method,
  version: (c) => nodeOf(c).incoming?.httpVersionMajor ?? 1,
  hasLongBody: (c) => {
    const { incoming } = nodeOf(c)
    return incoming !== undefined && hasLongBody(incoming)
  },
  discardBody: (c) => {
    const { incoming } = nodeOf(c)
    if (incoming !== undefined) discardBody(incoming)
  },
  trustsProxy: () => false,
  setHeader: (c, name, value) => {
    c.header(name, value)
  },
  removeHeader: (c, name) => {
    c.header(name, undefined)
  },
  setStatus: (c, status) => {
    c.status(status as StatusCode)
  },
  isFinished: (c) => {
    const { outgoing } = nodeOf(c)
    return outgoing !== undefined && isFinished(outgoing)
  },
  onEnd: (c, ended) => {
    const { outgoing } = nodeOf(c)
    if (outgoing !== undefined) return onEnd(outgoing, ended)
    const waiting = ENDINGS.get(c) ?? new Set()
    ENDINGS.set(c, waiting.add(ended))
    return () => {
      waiting.delete(ended)
    }
  },
  cut: (c) => {
    const { outgoing } = nodeOf(c)
    if (outgoing !== undefined) cut(outgoing)
  },
  send: (c, status, type, body) => {
    c.header('content-type', type)
    c.res = c.body(body, status as ContentfulStatusCode)
  },
}

/** The request and the response of node:http behind a context, where there are any. */
export function nodeOf(c: Context): NodeBindings {
  return (c.env ?? {}) as NodeBindings
}
