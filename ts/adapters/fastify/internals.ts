import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { clientOf } from '../../client-ip/trust-proxy.ts'
import type { HttpAdapter } from '../../http/adapter.ts'
import { isExplicitTrust, UNIX } from '../../http/client.ts'
import type { Warnings } from '../../http/events.ts'
import { cut, discardBody, hasLongBody, isFinished, onEnd, peerOf } from '../../http/node.ts'
import { withCode } from '../../validate.ts'
import type { RouteLimiters } from './routes.ts'

/** Fastify's requests and replies. */
export function fastifyAdapter(
  app: FastifyInstance,
  warnings: Warnings,
): HttpAdapter<FastifyRequest, FastifyReply> {
  let isExplicit: boolean | undefined
  const trustsProxy = (request: FastifyRequest): boolean => {
    isExplicit ??= isProxyExplicit(app, request, warnings)
    return isExplicit
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
      reply.code(status).type(type).serializer(asText).send(body)
    },
  }
}

/** Serializer of a body that is text already, in place of one that a hook has set. */
export function asText(payload: unknown): string {
  return payload as string
}

/** A client and a proxy for documentation (RFC 5737), to see what a proxy setting makes of them. */
const TRIAL = { 'x-forwarded-for': '198.51.100.1' }

/** Whether `trustProxy` is on and lists proxies. It can't be read, so it is tried out with a request. */
function isProxyExplicit(
  app: FastifyInstance,
  request: FastifyRequest,
  warnings: Warnings,
): boolean {
  if (request.ips === undefined) return false
  // Since 5.12.1 Fastify trusts no proxy where a number of hops is given, without a word. Only its options tell.
  const options = symbolOf(app, 'fastify.options')
  const setting =
    options === undefined
      ? undefined
      : (app as unknown as Record<symbol, { trustProxy?: unknown }>)[options]?.trustProxy
  // Fastify's own getter, asked about a request that comes from this address.
  const trusts = (address: string): boolean => {
    const socket = { remoteAddress: address }
    const raw = { socket, connection: socket, headers: TRIAL } as unknown as IncomingMessage
    const chain: unknown = Reflect.get(Object.getPrototypeOf(request), 'ips', { raw })
    return Array.isArray(chain) && chain.length > 1
  }
  return isExplicitTrust(setting, trusts, warnings)
}

/** Fastify keeps its own properties under symbols that it does not export. */
export function symbolOf(object: object, description: string): symbol | undefined {
  for (const at of chainOf(object)) {
    const found = Object.getOwnPropertySymbols(at).find((one) => one.description === description)
    if (found !== undefined) return found
  }
  return undefined
}

/** An object and its prototypes: those of an instance of Fastify are the instances around it. */
function chainOf(object: object): object[] {
  const chain: object[] = []
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at)) chain.push(at)
  return chain
}

/** The registrations of each instance: two in one instance both apply. */
const REGISTERED = new WeakMap<object, RouteLimiters[]>()
/** Functions that are this plugin's decorator. */
const DECORATORS = new WeakSet<object>()
/** Instances whose requests this plugin has decorated. */
const DECORATED = new WeakSet<object>()
/** How many registrations there are in a server. */
const COUNTS = new WeakMap<object, number>()

/** Adds a registration; those of the instances around it no longer have all routes to themselves. */
export function register(app: FastifyInstance, limiters: RouteLimiters): void {
  for (const outer of chainOf(app).slice(1)) {
    for (const one of REGISTERED.get(outer) ?? []) one.share()
  }
  REGISTERED.set(app, [...registeredIn(app), limiters])
}

/** The registrations of the instance itself. */
export function registeredIn(app: object): readonly RouteLimiters[] {
  return REGISTERED.get(app) ?? []
}

/**
 * The registrations that a route belongs to: those of the nearest instance that has limits for it.
 *
 * @param app the instance that the route was declared in
 * @param hasOwn whether the route has limits of its own, or says that it has none
 */
export function ownersOf(app: object, hasOwn: boolean): readonly RouteLimiters[] {
  for (const instance of chainOf(app)) {
    const found = registeredIn(instance)
    if (found.some(({ global }) => hasOwn || global !== undefined)) return found
  }
  return []
}

/** The registrations around an instance, whose limits one within it replaces. */
export function ownersAround(app: object): readonly RouteLimiters[] {
  return ownersOf(Object.getPrototypeOf(app), false)
}

/** Whether it is no instance within another. */
export function isRoot(app: object): boolean {
  return Object.getPrototypeOf(Object.getPrototypeOf(app) ?? {}) === null
}

/** Keeps the counters of a server's second registration apart from those of the first, also in a store. */
export function instancePrefix({ server }: FastifyInstance): string {
  const count = (COUNTS.get(server) ?? 0) + 1
  COUNTS.set(server, count)
  return count === 1 ? '' : `${count}: `
}

/** Gives the instance `rateThrottle` and its requests `rateLimit`, unless a registration has done so before. */
export function decorate(
  app: FastifyInstance,
  rateThrottle: FastifyInstance['rateThrottle'],
): void {
  if (!isDecorated(app)) {
    app.decorateRequest('rateLimit', null)
    DECORATED.add(app)
  }
  if (Object.hasOwn(app, 'rateThrottle')) return
  DECORATORS.add(rateThrottle)
  app.decorate('rateThrottle', rateThrottle)
}

/**
 * Stops the start where another plugin has taken a name that this one needs: otherwise each request would fail,
 * or its decision would be lost.
 *
 * @throws TypeError with the code DECORATOR_TAKEN
 */
export function checkDecorators(app: FastifyInstance): void {
  const { rateThrottle } = app as { rateThrottle?: object }
  const isForeign = app.hasDecorator('rateThrottle') && !DECORATORS.has(rateThrottle ?? {})
  if (isForeign && !isPolluted('rateThrottle')) throw taken('app.rateThrottle')
  if (!app.hasRequestDecorator('rateLimit') || isDecorated(app)) return
  if (!isPolluted('rateLimit')) throw taken('request.rateLimit')
}

function isDecorated(app: FastifyInstance): boolean {
  return chainOf(app).some((instance) => DECORATED.has(instance))
}

/** Fastify takes what every object inherits for a decorator. */
function isPolluted(name: string): boolean {
  return Object.hasOwn(Object.prototype, name)
}

function taken(name: string): TypeError {
  const message = `another plugin has decorated ${name}, which ratethrottle needs: register only one of the two, or each in its own instance`
  return withCode(new TypeError(message), 'DECORATOR_TAKEN')
}
