import type {
  FastifyInstance,
  FastifyPluginCallback,
  FastifyRequest,
  HookHandlerDoneFunction,
  onRequestHookHandler,
  RouteOptions,
} from 'fastify'
import { mustBe } from '../errors.ts'
import type { LimitInput } from '../limit/limit.ts'
import { checkHttpOptions, Guard, type HttpOptions } from './http.ts'

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

type RequestGuard = Guard<FastifyRequest> | undefined
/** A route's configuration; each plugin instance adds its guard under a symbol of its own. */
type Config = {
  readonly rateLimit?: RouteLimit | undefined
  /** Fastify adds these to what the route declared. */
  readonly method?: RouteOptions['method']
  readonly url?: string
  readonly [guard: symbol]: RequestGuard
}

/** The guards of one server: the plugin's own, and those of the routes that have limits of their own. */
class Guards {
  readonly #options: Options
  readonly #global: RequestGuard
  /** A GET route and the HEAD route that comes with it are declared apart, with one `rateLimit`. */
  readonly #twins = new Map<string, Map<unknown, RequestGuard>>()
  readonly #early = new WeakMap<object, { readonly guard: RequestGuard }>()
  readonly #own: Guard<FastifyRequest>[] = []
  /** Where a route's guard stands among its configuration. */
  readonly #symbol = Symbol('ratethrottle.guard')

  constructor(options: Options) {
    checkHttpOptions(options)
    this.#options = options
    this.#global = options.limits === undefined ? undefined : this.#keep(options)
  }

  /** Makes a route's guard when the route is declared, so that a wrong limit stops the start. */
  prepare(route: RouteOptions): void {
    const config = (route.config ?? {}) as Config
    const place = `${route.url} ${JSON.stringify(route.constraints ?? {})}`
    const guard = this.#twin(config, `${withoutHead(route.method)} ${place}`)
    route.config = { ...config, [this.#symbol]: guard } as NonNullable<RouteOptions['config']>
  }

  readonly hook: onRequestHookHandler = (request, reply, next) => {
    let refusal: Error | undefined
    try {
      const guard = this.#of(request.routeOptions.config as unknown as Config | undefined)
      refusal = guard?.decide(request, (name, value) => void reply.header(name, value))
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
    const guard = this.#twin(config, `early ${withoutHead(config.method)} ${config.url}`)
    this.#early.set(config, { guard })
    return guard
  }

  #twin(config: Config, name: string): RequestGuard {
    if (config.rateLimit === undefined) return this.#global
    const twins = this.#twins.get(name) ?? new Map<unknown, RequestGuard>()
    this.#twins.set(name, twins)
    if (!twins.has(config.rateLimit)) twins.set(config.rateLimit, this.#make(config.rateLimit))
    return twins.get(config.rateLimit)
  }

  #make(rateLimit: RouteLimit): RequestGuard {
    if (rateLimit === false) return undefined
    // A burst belongs to the limits it was written beside, and a name to one limiter.
    const { limits: _limits, burst: _burst, name: _name, ...inherited } = this.#options
    return this.#keep({ ...inherited, ...asOptions(rateLimit) })
  }

  #keep(options: Options): Guard<FastifyRequest> {
    const guard = new Guard(options, byAddress)
    this.#own.push(guard)
    return guard
  }
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
  return 'count' in rateLimit ? { limits: rateLimit as LimitInput } : rateLimit
}

function byAddress(request: FastifyRequest): string {
  return request.ip
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
