import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { clientOf } from '../../client-ip/trust-proxy.ts'
import type { HttpAdapter } from '../../http/adapter.ts'
import { isExplicitTrust, UNIX } from '../../http/client-ip.ts'
import { onEnd } from '../../http/ending.ts'
import { cut, discardBody, hasLongBody, isFinished, peerOf } from '../../http/node.ts'
import type { Warnings } from '../../http/warning.ts'
import { asItIs, symbolOf } from './errors.ts'

/** A client and a proxy for documentation (RFC 5737), to see what a proxy setting makes of them. */
const PROBE = { 'x-forwarded-for': '198.51.100.1' }

/** Fastify's requests and replies. */
export function fastifyFramework(
  app: FastifyInstance,
  warnings: Warnings,
): HttpAdapter<FastifyRequest, FastifyReply> {
  let isNamed: boolean | undefined
  const trustsProxy = (request: FastifyRequest): boolean => {
    isNamed ??= isProxyNamed(app, request, warnings)
    return isNamed
  }
  return {
    peer: (request) => peerOf(request.raw),
    isGone: (request) => peerOf(request.raw) === undefined,
    incoming: (request) => request.raw,
    headers: (request) => request.headers,
    method: (request) => request.raw.method ?? '',
    version: (request) => request.raw.httpVersionMajor,
    hasLongBody: (request) => hasLongBody(request.raw),
    discardBody: (request) => discardBody(request.raw),
    client: (request) => {
      const peer = peerOf(request.raw)
      if (peer === undefined || peer === UNIX || !trustsProxy(request)) return peer
      return clientOf(request.ips ?? [])
    },
    trustsProxy,
    setHeader: (reply, name, value) => {
      reply.header(name, value)
    },
    removeHeader: (reply, name) => {
      reply.removeHeader(name)
    },
    setStatus: (reply, status) => {
      if (!reply.sent) reply.code(status)
    },
    isFinished: (reply) => reply.sent || isFinished(reply.raw),
    onEnd: (reply, ended) => onEnd(reply.raw, ended),
    cut: (reply) => cut(reply.raw),
    send: (reply, status, type, body) => {
      reply.code(status).type(type).serializer(asItIs).send(body)
    },
  }
}

/** Whether `trustProxy` is on and says whom. Seen from a request: the setting itself is nowhere to be read. */
function isProxyNamed(app: FastifyInstance, request: FastifyRequest, warnings: Warnings): boolean {
  if (request.ips === undefined) return false
  return isExplicitTrust(settingOf(app), (address) => trusts(request, address), warnings)
}

/** Since 5.12.1 Fastify trusts no proxy where a number of hops is given, without a word. Only its own options tell. */
function settingOf(app: FastifyInstance): unknown {
  const options = symbolOf(app, 'fastify.options')
  if (options === undefined) return undefined
  return (app as unknown as Record<symbol, { trustProxy?: unknown }>)[options]?.trustProxy
}

/** Asks Fastify's own getter about a request that comes from this address. */
function trusts(request: FastifyRequest, address: string): boolean {
  const socket = { remoteAddress: address }
  const raw = { socket, connection: socket, headers: PROBE } as unknown as IncomingMessage
  const chain: unknown = Reflect.get(Object.getPrototypeOf(request), 'ips', { raw })
  return Array.isArray(chain) && chain.length > 1
}
