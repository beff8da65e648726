import type {
  FastifyInstance,
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
  onRequestHookHandler,
  RouteOptions,
} from 'fastify'
import { mustBe } from '../errors.ts'
import type { LimitInput } from '../limit/limit.ts'
import { type Framework, Guard, type HttpOptions, readHttpOptions } from './http.ts'

type Options = HttpOptions<FastifyRequest>
/** A route's own limits in place of the plugin's; `false` for none. */
type RouteLimit = LimitInput | Options | false

declare module 'fastify' {
  interface FastifyContextConfig {
    /** This route's own limits in place of the plugin's, `false` for none at all. */
    rateLimit?: LimitInput | HttpOptions<FastifyRequest> | false
  }
}

/**
 * Limits the requests of a Fastify server.
 *
 * ```ts
 * await app.register(rateThrottle, { limits: '100/minute' })
 * app.get('/search', { config: { rateLimit: '10/minute' } }, handler)
 * ```
 *
 * `limits` hold for every route of the instance, early ones and 404s included, in one budget per caller.
 * A route with `config.rateLimit` has a budget of its own instead. A refused request never reaches its
 * handler: a `RateLimitExceeded` (429) goes through the server's error handler, with `Retry-After` set.
 */
const rateThrottle: FastifyPluginCallback<Options> = (app, options, done) => {
  let guards: Guards
  try {
    guards = new Guards(options)
  } catch (error) {
    // Thrown, it would be nobody's: Fastify waits for a callback plugin to call back.
    done(error as Error)
    return
  }
  app.addHook('onRoute', (route: RouteOptions) => guards.prepare(route))
  app.addHook('onRequest', guards.hook)
  app.addHook('onClose', (_: FastifyInstance, closed: HookHandlerDoneFunction) => {
    guards.close()
    closed()
  })
  done()
}

type RequestGuard = Guard<FastifyRequest, FastifyReply> | undefined
/** A route's configuration; each plugin instance adds its guard under a symbol of its own. */
type Config = {
  readonly rateLimit?: RouteLimit | undefined
  /** Fastify adds these to what the route declared. */
  readonly method?: RouteOptions['method']
  readonly url?: string
  readonly [guard: symbol]: RequestGuard
}

/** What tells one declaration of a route from another. */
interface Declared {
  readonly rateLimit: RouteLimit
  readonly constraints: unknown
  readonly guard: RequestGuard
}

/** The guards of one server: the plugin's own, and those of the routes that have limits of their own. */
class Guards {
  readonly #options: Options
  readonly #global: RequestGuard
  /** A GET route and the HEAD route that comes with it are declared apart, with the same settings. */
  readonly #declared = new Map<string, Declared[]>()
  readonly #early = new WeakMap<object, { readonly guard: RequestGuard }>()
  readonly #own: Guard<FastifyRequest, FastifyReply>[] = []
  /** Where a route's guard stands among its configuration. */
  readonly #symbol = Symbol('ratethrottle.guard')

  constructor(options: Options) {
    this.#options = readHttpOptions(options)
    this.#global = this.#makeGlobal(this.#options)
  }

  /** Makes a route's guard when the route is declared, so that a wrong limit stops the start. */
  prepare(route: RouteOptions): void {
    const config = (route.config ?? {}) as Config
    const name = `${withoutHead(route.method)} ${route.url}`
    const guard = this.#declare(config, name, route.constraints)
    route.config = { ...config, [this.#symbol]: guard } as NonNullable<RouteOptions['config']>
  }

  readonly hook: onRequestHookHandler = (request, reply, next) => {
    let refusal: Error | undefined
    try {
      const guard = this.#of(request.routeOptions.config as unknown as Config | undefined)
      refusal = guard?.decide(request, reply)
    } catch (error) {
      // A key function that throws, or no key at all: not served, and never unlimited.
      refusal = asError(error)
    }
    next(refusal)
  }

  close(): void {
    for (const guard of this.#own) guard.close()
  }

  #of(config: Config | undefined): RequestGuard {
    if (config === undefined) return this.#global
    if (this.#symbol in config) return config[this.#symbol]
    // A route from before the plugin, or no route at all.
    const known = this.#early.get(config)
    if (known !== undefined) return known.guard
    const guard = this.#declare(config, `early ${withoutHead(config.method)} ${config.url}`)
    this.#early.set(config, { guard })
    return guard
  }

  #declare(config: Config, name: string, constraints?: unknown): RequestGuard {
    const rateLimit = Object.hasOwn(config, 'rateLimit') ? config.rateLimit : undefined
    if (rateLimit === undefined) return this.#global
    const routes = this.#declared.get(name) ?? []
    const same = (other: Declared): boolean =>
      other.rateLimit === rateLimit && other.constraints === constraints
    const known = routes.find(same)
    if (known !== undefined) return known.guard
    const guard = this.#make(rateLimit)
    this.#declared.set(name, [...routes, { rateLimit, constraints, guard }])
    return guard
  }

  #makeGlobal(options: Options): RequestGuard {
    const { limits, burst, name } = options
    if (limits !== undefined) return this.#keep(options)
    if (burst === undefined && name === undefined) return undefined
    throw new TypeError('burst and name belong beside the limits they are for')
  }

  #make(rateLimit: RouteLimit): RequestGuard {
    if (rateLimit === false) return undefined
    // A burst belongs to the limits it was written beside, and a name to one limiter.
    const { limits: _limits, burst: _burst, name: _name, ...inherited } = this.#options
    return this.#keep({ ...inherited, ...asOptions(rateLimit) })
  }

  #keep(options: Options): Guard<FastifyRequest, FastifyReply> {
    const guard = new Guard(options, FASTIFY)
    this.#own.push(guard)
    return guard
  }
}

const FASTIFY: Framework<FastifyRequest, FastifyReply> = {
  address: (request) => request.ip,
  setHeader: (reply, name, value) => {
    reply.header(name, value)
  },
}

/** The methods that share a budget: HEAD counts as GET, and comes by itself with every route that has GET. */
function withoutHead(method: RouteOptions['method'] | undefined): string {
  const methods = [method ?? []].flat()
  return methods.some((name) => name === 'GET' || name === 'HEAD') ? 'GET' : methods.join()
}

/** Fastify takes a falsy error for none at all, and would serve the request. */
function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  return new Error('the key function threw what is no Error', { cause: thrown })
}

function asOptions(rateLimit: unknown): Options {
  if (typeof rateLimit === 'string' || Array.isArray(rateLimit)) {
    return { limits: rateLimit as LimitInput }
  }
  if (typeof rateLimit !== 'object' || rateLimit === null) {
    const accepted = 'a limit string, an array of them, options or false'
    throw new TypeError(mustBe('config.rateLimit', accepted, rateLimit))
  }
  return Object.hasOwn(rateLimit, 'count') ? { limits: rateLimit as LimitInput } : rateLimit
}

/** What fastify-plugin would set: hooks reach the whole instance, and Fastify checks its own version. */
const plugin: typeof rateThrottle & {
  rateThrottle: typeof rateThrottle
  default: typeof rateThrottle
} = Object.assign(rateThrottle, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'ratethrottle',
  [Symbol.for('plugin-meta')]: { name: 'ratethrottle', fastify: '5.x' },
  rateThrottle,
  default: rateThrottle,
})

export = plugin
