import { once } from 'node:events'
import { createServer, type RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { afterEach } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { type Answer, type Ask, ask, statuses } from './client.ts'
import {
  type Built,
  build,
  type Framework,
  type Options,
  type Plan,
  type Route,
  type Run,
  type Site,
} from './frameworks.ts'

export type { Asked, Framework, Options, Result, Route, Site } from './frameworks.ts'

export const FRAMEWORKS = ['Fastify 5', 'Express 5', 'Express 4'] as const
/** The frameworks, and plain node:http. */
export const SERVERS = [...FRAMEWORKS, 'node:http'] as const
/** What every adapter is tested with. */
export const ADAPTERS: readonly AdapterName[] = [
  ...([...SERVERS, 'Hono', 'Koa 3'] as const),
  // On the same parts as Hono.
  ...byLength<readonly 'web'[]>([], ['web']),
]

type AdapterName = (typeof SERVERS)[number] | 'Hono' | 'Koa 3' | 'web'

/** A server that listens until the test ends. */
export interface Served {
  readonly server: Server
  /** 0 behind a Unix-domain socket. */
  readonly port: number
  readonly url: string
  ask(path?: string, how?: Ask): Promise<Answer>
  /** Sends `count` requests, one after another, and returns the statuses. */
  statuses(count: number, path?: string, how?: Ask): Promise<number[]>
  /** How often a handler ran: that of the path, or any. */
  runs(path?: string): number
  close(): Promise<void>
}

/** Where a server listens, and the server around its limiter. */
export interface Place extends Site {
  readonly host?: string
  /** The path of a Unix-domain socket. */
  readonly socket?: string
}

const open: Served[] = []
afterEach(() => Promise.all(open.splice(0).map((served) => served.close())))

/**
 * Starts a server behind one limiter.
 *
 * @param options of the limiter; without `limits` among them only routes that have their own are limited
 * @param around routes, handlers and address; a function is short for `{ handle }`
 */
export async function serve(
  framework: Framework,
  options: Options = {},
  around: Place | NonNullable<Site['handle']> = {},
): Promise<Served> {
  const site: Place = typeof around === 'function' ? { handle: around } : around
  const runs = new Map<string, number>()
  const counting = (path: string, run: Run): Run => {
    return (...at) => {
      runs.set(path, (runs.get(path) ?? 0) + 1)
      return run(...at)
    }
  }
  const built = await build(framework, planOf(options, site, counting))
  return serveBuilt(built, site, runs)
}

/** A place together with the options of its limiter. */
export interface LimitedSite extends Place {
  readonly options?: Options
}

/** As {@link serve}, with the options in one object with the rest. */
export function serveSite(
  framework: Framework,
  { options, ...around }: LimitedSite,
): Promise<Served> {
  return serve(framework, options, around)
}

/** Serves a Fastify app, an Express app, a listener or a server. */
export async function serveApp(app: unknown, place: Place = {}): Promise<Served> {
  if (isFastify(app)) {
    const { server } = app
    return serveBuilt({ server, listen: (at) => app.listen(at), close: () => app.close() }, place)
  }
  if (app instanceof Server) return serveBuilt({ server: app, close: () => {} }, place)
  return serveBuilt({ server: createServer(app as RequestListener), close: () => {} }, place)
}

function isFastify(app: unknown): app is FastifyInstance {
  return typeof (app as FastifyInstance).register === 'function'
}

/** Serves an app or a listener, and returns the URL of its root, without a slash at the end. */
export async function listen(app: unknown): Promise<string> {
  return (await serveApp(app)).url
}

function planOf(options: Options, site: Site, counting: (path: string, run: Run) => Run): Plan {
  const { routes, handle } = site
  const answerAll: Run = async ({ url = '' }) => ({ status: await handle?.(url), body: 'done' })
  if (routes === undefined) {
    return { ...site, options, routes: [], fallback: counting('*', answerAll) }
  }
  const hasRoot = routes.some(({ path }) => path === '/')
  const all: readonly Route[] = hasRoot ? routes : [{ path: '/' }, ...routes]
  const counted = all.map((route) => {
    const { path, run = () => ({ body: { path } }) } = route
    return { ...route, run: counting(path, run) }
  })
  return { ...site, options, routes: counted, fallback: undefined }
}

async function serveBuilt(
  { server, close, listen }: Built,
  { host = '127.0.0.1', socket }: Place,
  runs: ReadonlyMap<string, number> = new Map(),
): Promise<Served> {
  const target = socket === undefined ? { host, port: 0 } : { path: socket }
  if (listen === undefined) await once(server.listen(target), 'listening')
  else await listen(target)
  const port = socket === undefined ? (server.address() as AddressInfo).port : 0
  const at = socket ?? port
  const served: Served = {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    ask: (path, how) => ask(at, { ...how, path }),
    statuses: (count, path, how) => statuses(at, count, { ...how, path }),
    runs: (path) => {
      if (path !== undefined) return runs.get(path) ?? 0
      return [...runs.values()].reduce((sum, count) => sum + count, 0)
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      await close()
    },
  }
  open.push(served)
  return served
}
