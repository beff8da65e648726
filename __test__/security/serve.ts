import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { rateThrottle as limitExpress } from 'ratethrottle/express'
import limitFastify from 'ratethrottle/fastify'
import { rateThrottle as limitNode } from 'ratethrottle/http'
import { afterEach } from 'vitest'

/** The frameworks that every hazard is shown in. */
export const FRAMEWORKS = ['Fastify 5', 'Express 4', 'Express 5'] as const
export type Name = (typeof FRAMEWORKS)[number]

/** What is the same in all of them; their request types differ, and no test here depends on that. */
export type Options = Omit<Parameters<typeof limitNode>[0], 'key' | 'limits' | 'skip' | 'cost'> & {
  readonly limits?: unknown
  readonly key?: unknown
  readonly skip?: unknown
  readonly cost?: unknown
}

/** What a handler answers, in words that all frameworks know. */
export interface Result {
  readonly status?: number
  readonly body?: string
  readonly headers?: Record<string, string>
}

/** A route; `limits` are its own, `false` for none at all (Fastify only). */
export interface Route {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly limits?: unknown
  run?(request: IncomingMessage, response: ServerResponse): Result | undefined | Promise<Result>
}

/** What stands around the limiter. */
export interface Surroundings {
  /** Fastify's `trustProxy`, Express' `trust proxy`. */
  readonly proxy?: unknown
  readonly routes?: readonly Route[]
  readonly host?: string
  /** A second limiter for all routes, with options of its own. */
  readonly beside?: Options
  /** Runs before the limiter. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>
}

/** A server that listens. */
export interface Served {
  readonly port: number
  readonly server: Server
  /** How often a handler ran. */
  runs(): number
}

const require = createRequire(`${process.cwd()}/`)
const express4 = require('express-4') as typeof express
const open: (() => Promise<unknown>)[] = []
afterEach(() => Promise.all(open.splice(0).map((close) => close())))

/** Starts a server of this framework, limited by these options, with one route for `/` and those given. */
export function serve(name: Name, options: Options, around: Surroundings = {}): Promise<Served> {
  if (name === 'Fastify 5') return serveFastify(options, around)
  return serveExpress(name === 'Express 4' ? express4 : express, options, around)
}

/** A `node:http` server with this listener behind the limiter. */
export async function serveNode(
  options: Options,
  listener: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => {
    response.end('ok')
  },
): Promise<Served> {
  let runs = 0
  const limiter = limitNode(options as Parameters<typeof limitNode>[0])
  const counted = (request: IncomingMessage, response: ServerResponse): void => {
    runs++
    listener(request, response)
  }
  return { ...(await listen(createServer(limiter.wrap(counted)))), runs: () => runs }
}

/** Listens on a free port until the test ends. */
export async function listen(
  server: Server,
  host = '127.0.0.1',
): Promise<{ server: Server; port: number }> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
  return { server, port: (server.address() as AddressInfo).port }
}

async function serveFastify(options: Options, around: Surroundings): Promise<Served> {
  const app = Fastify({ trustProxy: around.proxy as never, forceCloseConnections: true })
  let runs = 0
  const { before } = around
  if (before !== undefined) {
    app.addHook('onRequest', async (request, reply) => {
      await before(request.raw, reply.raw)
    })
  }
  await app.register(limitFastify, options as never)
  if (around.beside !== undefined) await app.register(limitFastify, around.beside as never)
  for (const route of routesOf(around)) addToFastify(app, route, () => runs++)
  await app.listen({ host: around.host ?? '127.0.0.1', port: 0 })
  open.push(() => app.close())
  return { port: (app.server.address() as AddressInfo).port, server: app.server, runs: () => runs }
}

function addToFastify(app: FastifyInstance, route: Route, ran: () => void): void {
  const { path, method = 'GET', run } = route
  const limits = ownLimits(route)
  const config = limits === undefined ? {} : { config: { rateLimit: limits as never } }
  app.route({
    url: path,
    method,
    ...config,
    handler: async (request: FastifyRequest, reply) => {
      ran()
      const result = (await run?.(request.raw, reply.raw)) ?? {}
      if (reply.raw.headersSent) return reply.hijack()
      return reply
        .code(result.status ?? 200)
        .headers(result.headers ?? {})
        .send(result.body ?? 'ok')
    },
  })
}

async function serveExpress(
  make: typeof express,
  options: Options,
  around: Surroundings,
): Promise<Served> {
  const app = make()
  let runs = 0
  const { before, proxy } = around
  if (proxy !== undefined) app.set('trust proxy', proxy)
  if (before !== undefined) {
    app.use((request, response, next) => {
      Promise.resolve(before(request, response)).then(() => next(), next)
    })
  }
  const limiter = limitExpress(options as never)
  if (options.limits !== undefined) app.use(limiter)
  if (around.beside !== undefined) app.use(limitExpress(around.beside as never))
  for (const route of routesOf(around)) addToExpress(app, limiter, route, () => runs++)
  const served = await listen(createServer(app), around.host)
  return { ...served, runs: () => runs }
}

function addToExpress(
  app: Express,
  limiter: ReturnType<typeof limitExpress>,
  route: Route,
  ran: () => void,
): void {
  const { path, method = 'GET', run } = route
  const limits = ownLimits(route)
  const own = limits === undefined ? [] : [limiter.limit(limits as never)]
  app[method === 'GET' ? 'get' : 'post'](path, ...own, (request, response, next) => {
    ran()
    const answer = async (): Promise<void> => {
      const result = (await run?.(request, response)) ?? {}
      if (response.headersSent) return
      response
        .status(result.status ?? 200)
        .set(result.headers ?? {})
        .send(result.body ?? 'ok')
    }
    answer().catch(next)
  })
}

function routesOf({ routes = [] }: Surroundings): readonly Route[] {
  return routes.some(({ path }) => path === '/') ? routes : [{ path: '/' }, ...routes]
}

/** Not those of a polluted prototype, which H123 has. */
function ownLimits(route: Route): unknown {
  return Object.hasOwn(route, 'limits') ? route.limits : undefined
}
