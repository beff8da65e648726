import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createRequire } from 'node:module'
import { getRequestListener } from '@hono/node-server'
import Router from '@koa/router'
import express, { type Express } from 'express'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import type { Decision } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { rateThrottle as forKoa } from 'ratethrottle/koa'
import { buildWeb } from './web-site.ts'

/** What the adapters are tested with. */
export type Framework =
  | 'Fastify 5'
  | 'Express 5'
  | 'Express 4'
  | 'node:http'
  | 'Hono'
  | 'web'
  | 'Koa 3'
  | 'Koa 2'

/** The properties that requests have in all frameworks. */
export interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly url?: string | undefined
  readonly rateLimit?: Decision | null
}

/** Options that mean the same in every adapter, with functions that suit the requests of all frameworks. */
// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own request type
export type Options = any

/** What a handler answers: JSON if `body` is an object. */
export interface Result {
  readonly status?: number | undefined
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** Handles a request. One that answers by itself, on the raw response, returns nothing. */
export type Run = (
  request: Asked,
  response: ServerResponse,
) => Result | undefined | Promise<Result | undefined>

export interface Route {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  /** The route's own limits or options; `false` for none at all (Fastify only). */
  readonly limits?: unknown
  /** Further limiters of the route, in this order, as middlewares or hooks. */
  readonly stacked?: readonly unknown[]
  /** Default: answers `{ path }`. */
  readonly run?: Run
}

/** The server around the limiter. */
export interface Site {
  /** Default: one handler for every path and method. A route for `/` is always there. */
  readonly routes?: readonly Route[]
  /** Without `routes`: the status that every request is answered with. */
  readonly handle?: (path: string) => number | Promise<number>
  /** Fastify's `trustProxy`, Express' `trust proxy`. */
  readonly proxy?: unknown
  /** The framework's error handler. */
  readonly onError?: (error: unknown) => { readonly status: number; readonly body: object }
  /** The options of a second limiter for all routes. */
  readonly beside?: Options
  /** Runs before the limiter. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>
}

/** A site with all handlers filled in. */
export interface Plan extends Omit<Site, 'routes'> {
  readonly options: Options
  readonly routes: readonly (Route & { readonly run: Run })[]
  /** Answers requests without a route; undefined where there are routes. */
  readonly fallback: Run | undefined
}

/** A server that does not listen yet. */
export interface Built {
  readonly server: Server
  /** Default: `server.listen`. */
  readonly listen?: (target: { host: string; port: number } | { path: string }) => Promise<unknown>
  close(): unknown
}

interface Closable {
  close(): void
}

const require = createRequire(`${process.cwd()}/`)
const express4 = require('express-4') as typeof express
const Koa2 = require('koa-2') as typeof Koa

/** Builds a site in the way that is usual in its framework. */
export function build(framework: Framework, plan: Plan): Built | Promise<Built> {
  if (framework === 'Fastify 5') return buildFastify(plan)
  if (framework === 'Express 4') return buildExpress(express4(), plan)
  if (framework === 'Express 5') return buildExpress(express(), plan)
  if (framework === 'Koa 3') return buildKoa(new Koa(), plan)
  if (framework === 'Koa 2') return buildKoa(new Koa2(), plan)
  if (framework === 'Hono') return buildHono(plan)
  if (framework === 'web') return buildWeb(plan, limitsOf, isForAll(plan.options))
  return buildHttp(plan)
}

async function buildFastify(plan: Plan): Promise<Built> {
  const { options, routes, fallback, proxy, onError, beside, before } = plan
  const app = Fastify({ trustProxy: (proxy ?? false) as never, forceCloseConnections: true })
  if (before !== undefined) {
    app.addHook('onRequest', async (request, reply) => before(request.raw, reply.raw))
  }
  await app.register(forFastify, options)
  if (beside !== undefined) await app.register(forFastify, beside)
  if (onError !== undefined) {
    app.setErrorHandler((error, _request, reply) => {
      const { status, body } = onError(error)
      return reply.code(status).send(body)
    })
  }
  for (const route of routes) addToFastify(app, route)
  if (fallback !== undefined) app.all('/*', (...at) => answerFastify(fallback, ...at))
  return { server: app.server, listen: (target) => app.listen(target), close: () => app.close() }
}

function addToFastify(app: FastifyInstance, route: Plan['routes'][number]): void {
  const { path, method = 'GET', stacked = [], run } = route
  app.route({
    method,
    url: path,
    config: hasLimits(route) ? { rateLimit: route.limits as never } : {},
    preHandler: stacked.map((more) => app.rateThrottle(more as never)),
    handler: (...at) => answerFastify(run, ...at),
  })
}

async function answerFastify(run: Run, request: FastifyRequest, reply: FastifyReply) {
  const { status = 200, headers = {}, body } = (await run(request, reply.raw)) ?? {}
  if (reply.raw.headersSent) return reply.hijack()
  return reply.code(status).headers(headers).send(body)
}

function buildExpress(app: Express, plan: Plan): Built {
  const { options, routes, fallback, proxy, onError, beside, before } = plan
  const opened: Closable[] = []
  const open = <T extends Closable>(limiter: T): T => {
    opened.push(limiter)
    return limiter
  }
  if (proxy !== undefined) app.set('trust proxy', proxy)
  if (before !== undefined) {
    app.use((request, response, next) => {
      Promise.resolve(before(request, response)).then(() => next(), next)
    })
  }
  const limiter = open(forExpress(options))
  if (isForAll(options)) app.use(limiter)
  if (beside !== undefined) app.use(open(forExpress(beside)))
  for (const route of routes) {
    const { path, method = 'GET', stacked = [], run } = route
    const all = hasLimits(route) ? [route.limits, ...stacked] : stacked
    const limiters = all.map((more) => open(limiter.limit(more as never)))
    app[method === 'GET' ? 'get' : 'post'](path, ...limiters, handlerOf(run))
  }
  if (fallback !== undefined) app.use(handlerOf(fallback))
  if (onError !== undefined) {
    app.use(((error, _request, response, _next) => {
      const { status, body } = onError(error)
      response.status(status).json(body)
    }) as express.ErrorRequestHandler)
  }
  return { server: createServer(app), close: () => closeAll(opened) }
}

/** Express 4 passes on what a handler throws, but not what its promise rejects with. */
function handlerOf(run: Run): express.RequestHandler {
  return (request, response, next) => {
    const answer = async (): Promise<void> => {
      const { status = 200, headers = {}, body } = (await run(request, response)) ?? {}
      if (!response.headersSent) response.status(status).set(headers).send(body)
    }
    answer().catch(next)
  }
}

function buildHono({ options, routes, fallback, beside }: Plan): Built {
  const app = new Hono<{ Bindings: { incoming: IncomingMessage; outgoing: ServerResponse } }>()
  const limiter = forHono(options)
  if (isForAll(options)) app.use(limiter)
  if (beside !== undefined) app.use(forHono(beside))
  const add = (path: string, methods: string[], run: Run, limiters: unknown[]): void => {
    app.on(methods, path, ...(limiters as [never]), async (c) => {
      const result = (await run(c.env.incoming, c.env.outgoing)) ?? {}
      const { status = 200, headers = {}, body = '' } = result
      if (typeof body === 'object') return c.json(body as object, status as 200, headers)
      return c.text(String(body), status as 200, headers)
    })
  }
  for (const route of routes) {
    const { path, method = 'GET', stacked = [], run } = route
    const all = hasLimits(route) ? [route.limits, ...stacked] : stacked
    add(
      path,
      [method],
      run,
      all.map((more) => limiter.limit(more as never)),
    )
  }
  if (fallback !== undefined) {
    add('*', ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], fallback, [])
  }
  return { server: createServer(getRequestListener(app.fetch)), close: () => limiter.close() }
}

function buildKoa(app: Koa, plan: Plan): Built {
  const { options, routes, fallback, proxy, onError, beside, before } = plan
  if (proxy !== undefined) app.proxy = proxy as boolean
  if (onError !== undefined) {
    app.use((ctx, next) =>
      next().catch((error: unknown) => {
        const { status, body } = onError(error)
        Object.assign(ctx, { status, body })
      }),
    )
  }
  if (before !== undefined) {
    app.use(async (ctx, next) => {
      await before(ctx.req, ctx.res)
      return next()
    })
  }
  const limiter = forKoa(options)
  if (isForAll(options)) app.use(limiter)
  const others = beside === undefined ? [] : [forKoa(beside)]
  for (const other of others) app.use(other)
  const router = new Router()
  for (const route of routes) {
    const { path, method = 'GET', stacked = [], run } = route
    const all = hasLimits(route) ? [route.limits, ...stacked] : stacked
    const limiters = all.map((more) => limiter.limit(more as never))
    const methods = method === 'GET' ? ['HEAD', 'GET'] : [method]
    router.register(path, methods, [...limiters, answerKoa(run)])
  }
  app.use(router.routes())
  if (fallback !== undefined) app.use(answerKoa(fallback))
  return { server: createServer(app.callback()), close: () => closeAll([limiter, ...others]) }
}

function answerKoa(run: Run): Koa.Middleware {
  return async (ctx) => {
    const asked: Asked = Object.assign(ctx.req, { rateLimit: ctx.state.rateLimit ?? null })
    const { status = 200, headers = {}, body } = (await run(asked, ctx.res)) ?? {}
    if (ctx.res.headersSent) ctx.respond = false
    else {
      ctx.status = status
      ctx.set(headers)
      ctx.body = body
    }
  }
}

function buildHttp({ options, routes, fallback, beside, before }: Plan): Built {
  const opened: Closable[] = []
  const wrapIn = (given: Options, listener: RequestListener): RequestListener => {
    const limiter = forHttp(given)
    opened.push(limiter)
    return limiter.wrap(listener)
  }
  const { limits: _limits, shield: _shield, ...more } = options
  const listeners = routes.map((route) => {
    const { path, method = 'GET', stacked = [], run } = route
    const all = hasLimits(route) ? [route.limits, ...stacked] : stacked
    const listener = all.reduceRight<RequestListener>((inner, given) => {
      return wrapIn(
        { ...more, ...(isOptions(given) ? (given as object) : { limits: given }) },
        inner,
      )
    }, listenerOf(run))
    return { path, method, listener }
  })
  const notFound: RequestListener = (_, response) => response.writeHead(404).end()
  const otherwise = fallback === undefined ? notFound : listenerOf(fallback)
  let listener: RequestListener = (request, response) => {
    const { url, method } = request
    const found = listeners.find((route) => route.path === url && route.method === method)
    return (found?.listener ?? otherwise)(request, response)
  }
  if (beside !== undefined) listener = wrapIn(beside, listener)
  if (isForAll(options)) listener = wrapIn(options, listener)
  const inner = listener
  const server = createServer(
    before === undefined
      ? inner
      : async (request, response) => {
          await before(request, response)
          inner(request, response)
        },
  )
  return { server, close: () => closeAll(opened) }
}

function listenerOf(run: Run): RequestListener {
  return async (request, response) => {
    const { status = 200, headers = {}, body } = (await run(request, response)) ?? {}
    if (response.headersSent) return
    const isJson = typeof body === 'object'
    if (isJson) response.setHeader('content-type', 'application/json')
    response.writeHead(status, headers).end(isJson ? JSON.stringify(body) : body)
  }
}

function closeAll(limiters: readonly Closable[]): void {
  for (const limiter of limiters) limiter.close()
}

/** Whether the limiter stands before all routes: it has limits of its own, or a shield. */
function isForAll({ limits, concurrent, shield, config }: Options): boolean {
  return [limits, concurrent, shield, config].some((option) => option !== undefined)
}

/** The limits of a route, in the order in which they are asked. */
function limitsOf(route: Plan['routes'][number]): readonly unknown[] {
  const { stacked = [] } = route
  return hasLimits(route) ? [route.limits, ...stacked] : stacked
}

/** Whether the route has its own `limits`, not those of a polluted prototype. */
function hasLimits(route: Route): boolean {
  return Object.hasOwn(route, 'limits') && route.limits !== undefined
}

function isOptions(given: unknown): boolean {
  return typeof given === 'object' && !Array.isArray(given) && !('count' in (given as object))
}
