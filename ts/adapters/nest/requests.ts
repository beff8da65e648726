import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { HttpAdapterHost } from '@nestjs/core'
import type { FastifyInstance } from 'fastify'
import type { HttpAdapter } from '../../http/adapter.ts'
import { IN_PROCESS } from '../../http/client.ts'
import type { Warnings } from '../../http/events.ts'
import { NODE, peerOf } from '../../http/node.ts'
import { expressAdapter } from '../express/requests.ts'
import { fastifyAdapter } from '../fastify/hook.ts'
import { hiddenProperty } from '../fastify/internals.ts'
import { CallResponse } from './call-response.ts'

/** On a request that is none of HTTP: what it comes from. */
const PLAIN: unique symbol = Symbol('ratethrottle.plain')
/** On a request that is no request of HTTP alone: what an insight calls its handler. */
const ROUTE: unique symbol = Symbol('ratethrottle.route')
/** On such a request of Fastify: what stands for its request of `node:http`. */
const INCOMING: unique symbol = Symbol('ratethrottle.incoming')

/** A caller without a request of HTTP. */
interface Plain {
  readonly [PLAIN]: true
  readonly socket: Socket | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly method: string
  readonly url: string
  /** The caller's address, where there is no socket that has it. */
  readonly address: string | undefined
}

interface Viewed {
  readonly [PLAIN]?: true
  readonly [ROUTE]?: string
  readonly [INCOMING]?: IncomingMessage
}

/** A caller that has no request of HTTP: a microservice, or a program in this process. */
export function plainRequest(socket: Socket | undefined, address?: string): object {
  const plain: Plain = { [PLAIN]: true, socket, address, headers: {}, method: '', url: '' }
  return plain
}

/** What limiters and shields keep on a request. */
const KEPT = { value: undefined, writable: true, enumerable: true, configurable: true }

/**
 * A request of its own for one of several calls that came with, or after, one request: it is all that the request is, and
 * has charges, and a verdict of a shield, of its own.
 */
export function viewOf(request: object, route: string): object {
  const { raw } = request as { readonly raw?: unknown }
  const incoming =
    typeof raw === 'object' && raw !== null ? Object.create(raw, { shield: KEPT }) : undefined
  return Object.create(request, {
    [ROUTE]: { value: route },
    [INCOMING]: { value: incoming },
    rateLimit: { ...KEPT, value: null },
    shield: KEPT,
  }) as object
}

/** Nest's platform. */
export type Platform = 'express' | 'fastify' | 'other'

export function platformOf({ httpAdapter }: HttpAdapterHost): Platform {
  const type: unknown = httpAdapter?.getType?.()
  return type === 'express' || type === 'fastify' ? type : 'other'
}

const classOfRequests = hiddenProperty<{ readonly prototype: object }>('fastify.Request')

/** The request that opened a socket, as the platform's own requests are: key functions and proxy settings know those. */
export function likePlatform(upgrade: IncomingMessage, host: HttpAdapterHost): object {
  const platform = platformOf(host)
  if (platform === 'fastify') {
    const app = host.httpAdapter.getInstance<FastifyInstance>()
    const prototype = classOfRequests(app)?.prototype
    if (prototype !== undefined) return Object.create(prototype, { raw: { value: upgrade } })
  }
  if (platform !== 'express') return upgrade
  const app = host.httpAdapter.getInstance<{ readonly request: object }>()
  return Object.create(upgrade, {
    app: { value: app },
    ips: {
      get(this: object): unknown {
        return Reflect.get(app.request, 'ips', this)
      },
    },
  }) as object
}

/** The requests of all that Nest serves: those of the platform, and those that are none of HTTP. */
export function nestAdapter(host: HttpAdapterHost, warnings: Warnings): HttpAdapter {
  const plain = plainAdapter(warnings)
  let known: HttpAdapter | undefined
  const platform = (): HttpAdapter => {
    known ??= platformAdapter(host, warnings)
    return known
  }
  const of = (request: object): HttpAdapter =>
    (request as Viewed)[PLAIN] === true ? plain : platform()
  return {
    peer: (request) => of(request).peer(request),
    incoming: (request) => (request as Viewed)[INCOMING] ?? of(request).incoming(request),
    headers: (request) => of(request).headers(request),
    method: (request) => of(request).method(request),
    target: (request) => of(request).target(request),
    route: (request) => (request as Viewed)[ROUTE] ?? of(request).route(request),
    forwarded: (request, peer) => of(request).forwarded(request, peer),
    isProxy: (request, peer) => of(request).isProxy(request, peer),
    ...answers(platform),
  }
}

type Answers = Omit<
  HttpAdapter,
  'peer' | 'incoming' | 'headers' | 'method' | 'target' | 'route' | 'forwarded' | 'isProxy'
>

/** What is done to a response. One that stands for none has no headers, and what to send goes through Nest's filters. */
function answers(platform: () => HttpAdapter): Answers {
  const isCall = (response: object): response is CallResponse => response instanceof CallResponse
  return {
    outgoing: (response) => (isCall(response) ? undefined : platform().outgoing(response)),
    setHeader: (response, name, value) => {
      if (!isCall(response)) platform().setHeader(response, name, value)
    },
    setFigures: (response, ...figures) => {
      if (!isCall(response)) platform().setFigures(response, ...figures)
    },
    removeHeader: (response, name) => {
      if (!isCall(response)) platform().removeHeader(response, name)
    },
    setStatus: (response, status) => {
      if (!isCall(response)) platform().setStatus(response, status)
    },
    isFinished: (response) =>
      isCall(response) ? response.isOver : platform().isFinished(response),
    onEnd: (response, ended) =>
      isCall(response) ? response.onEnd(ended) : platform().onEnd(response, ended),
    onDone: (response, done) =>
      isCall(response) ? response.onEnd(() => done()) : platform().onDone(response, done),
    cut: (response) => {
      if (!isCall(response)) platform().cut(response)
    },
    send: (response, ...answer) => {
      if (!isCall(response)) platform().send(response, ...answer)
    },
  }
}

function platformAdapter(host: HttpAdapterHost, warnings: Warnings): HttpAdapter {
  const platform = platformOf(host)
  if (platform === 'express')
    return expressAdapter(warnings) as HttpAdapter<never, never> as HttpAdapter
  if (platform === 'other') return NODE as HttpAdapter<never, never> as HttpAdapter
  const app = host.httpAdapter.getInstance<FastifyInstance>()
  return fastifyAdapter(app, warnings) as HttpAdapter<never, never> as HttpAdapter
}

function plainAdapter(warnings: Warnings): HttpAdapter {
  const peer = ({ socket, address }: Plain): string | undefined => {
    if (socket !== undefined) return peerOf({ socket })
    if (address !== undefined) return address
    warnings.warnOnce(
      'RATETHROTTLE_NO_CONNECTION',
      'a call came without a connection of its own, as from a broker or from this process: all such callers share ' +
        'one budget. Set option key to tell them apart',
    )
    return IN_PROCESS
  }
  const adapter = { ...NODE, peer, incoming: () => undefined, target: () => '' }
  return adapter as HttpAdapter<never, never> as HttpAdapter
}
