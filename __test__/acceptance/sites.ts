import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type express from 'express'
import type { Request, RequestHandler } from 'express'
import Fastify, { type FastifyRequest } from 'fastify'
import type { Decision, KeyFunction, LimitInput } from 'ratethrottle'
import { rateThrottle as forExpress, type RateThrottleOptions } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHttp, type RateThrottleOptions as HttpOptions } from 'ratethrottle/http'

export type Framework = 'Fastify 5' | 'Express 5' | 'Express 4' | 'node:http'

/** What the requests of all frameworks have. */
export interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly rateLimit?: Decision | null
}

/** Options whose functions suit the requests of all frameworks. */
export type Options = Omit<HttpOptions, 'key' | 'onAdmit' | 'onDeny' | 'handler'> & {
  readonly key?: KeyFunction<Asked>
  readonly onAdmit?: (event: { readonly key: string | undefined }) => void
}

export interface Route {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  /** As the route's own limits. */
  readonly limits?: LimitInput | Options
  /** As middlewares or hooks in a row, one for each. */
  readonly stacked?: readonly (LimitInput | Options)[]
  /** Default: answers `{ path }`. */
  readonly run?: (request: Asked) => unknown
}

/** A service in no framework's words. */
export interface Site {
  /** Of the plugin or the middleware. With `limits` among them it guards everything. */
  readonly options?: Options
  readonly routes: readonly Route[]
  /** The proxies, in the framework's own setting. */
  readonly trustProxy?: readonly string[]
  /** The framework's error handler. */
  readonly onError?: (error: unknown) => { readonly status: number; readonly body: object }
}

interface Closable {
  close(): void
}

/** A server that does not listen yet. */
export interface Built {
  readonly server: Server
  listen(target: { host: string; port: number } | { path: string }): Promise<void>
  close(): Promise<void>
}

/** Builds a site in the way that is usual in its framework. `ran` is told of each run of a handler. */
export async function build(
  framework: Framework,
  site: Site,
  ran: (path: string) => void,
): Promise<Built> {
  const counted = site.routes.map((route) => ({ ...route, run: counting(route, ran) }))
  const copy = { ...site, routes: counted }
  if (framework === 'Fastify 5') return buildFastify(copy)
  const limiters: Closable[] = []
  if (framework === 'node:http') return ofListener(buildHttp(copy, limiters), limiters)
  const name = framework === 'Express 4' ? 'express-4' : 'express'
  const { default: make } = (await import(name)) as { default: typeof express }
  return ofListener(buildExpress(copy, make(), limiters), limiters)
}

/** What a listener answers, as a server that closes its limiters with itself. */
export function ofListener(
  listener: Parameters<typeof createServer>[1],
  limiters: readonly Closable[] = [],
): Built {
  const server = createServer(listener)
  return {
    server,
    listen: (target) => new Promise((resolve) => server.listen(target, resolve)),
    close: async () => {
      await new Promise((resolve) => server.close(resolve))
      for (const limiter of limiters) limiter.close()
    },
  }
}

/** A Fastify app, as a server. */
export function ofFastify(app: Awaited<ReturnType<typeof Fastify>>): Built {
  return {
    server: app.server,
    listen: async (target) => {
      await app.listen(target)
    },
    close: () => app.close(),
  }
}

function counting({ path, run = () => ({ path }) }: Route, ran: (path: string) => void) {
  return (request: Asked): unknown => {
    ran(path)
    return run(request)
  }
}

async function buildFastify({ options = {}, routes, trustProxy, onError }: Site): Promise<Built> {
  const app = Fastify({ trustProxy: trustProxy === undefined ? false : [...trustProxy] })
  await app.register(forFastify, options as object)
  if (onError !== undefined) {
    app.setErrorHandler((error, _request, reply) => {
      const { status, body } = onError(error)
      return reply.code(status).send(body)
    })
  }
  for (const { path, method = 'GET', limits, stacked = [], run } of routes) {
    app.route({
      method,
      url: path,
      config: { ...(limits === undefined ? {} : { rateLimit: limits as LimitInput }) },
      preHandler: stacked.map((more) => app.rateThrottle(more as LimitInput)),
      handler: (request: FastifyRequest) => run?.(request),
    })
  }
  return ofFastify(app)
}

function buildExpress(
  { options = {}, routes, trustProxy, onError }: Site,
  app: express.Express,
  opened: Closable[],
): express.Express {
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy)
  const limiter = forExpress(options as RateThrottleOptions)
  opened.push(limiter)
  if (options.limits !== undefined) app.use(limiter)
  for (const { path, method = 'GET', limits, stacked = [], run } of routes) {
    const all = limits === undefined ? stacked : [limits, ...stacked]
    const limiters = all.map((more) => limiter.limit(more as LimitInput))
    opened.push(...limiters)
    // Written out: Express 4 passes on what is thrown, not what a promise is rejected with.
    const handler: RequestHandler = (request: Request, response) => {
      const found = run?.(request)
      if (!(found instanceof Promise)) response.json(found)
      else return found.then((body) => void response.json(body))
    }
    app[method === 'GET' ? 'get' : 'post'](path, ...limiters, handler)
  }
  if (onError !== undefined) {
    app.use(((error, _request, response, _next) => {
      const { status, body } = onError(error)
      response.status(status).json(body)
    }) as express.ErrorRequestHandler)
  }
  return app
}

function buildHttp(
  { options = {}, routes }: Site,
  opened: Closable[],
): Parameters<typeof createServer>[1] {
  const { limits: everywhere, ...more } = options
  const listeners = routes.map(({ path, method = 'GET', limits, stacked = [], run }) => {
    const all = limits === undefined ? stacked : [limits, ...stacked]
    const limiters = all.map((given) => {
      const own = isOptions(given) ? given : { limits: given }
      return forHttp({ ...more, ...own } as HttpOptions)
    })
    opened.push(...limiters)
    const listener: Parameters<typeof createServer>[1] = (request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(run?.(request)))
    }
    return {
      isFor: (at: string | undefined, by: string | undefined) => at === path && by === method,
      listener: limiters.reduceRight((inner, { wrap }) => wrap(inner), listener),
    }
  })
  const route: NonNullable<Parameters<typeof createServer>[1]> = (request, response) => {
    const found = listeners.find(({ isFor }) => isFor(request.url, request.method))
    if (found === undefined) response.writeHead(404).end()
    else found.listener(request, response)
  }
  if (everywhere === undefined) return route
  const limiter = forHttp(options as HttpOptions)
  opened.push(limiter)
  return limiter.wrap(route)
}

function isOptions(given: LimitInput | Options): given is Options {
  return typeof given === 'object' && !Array.isArray(given) && !('count' in given)
}
