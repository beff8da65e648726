import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { LimitInput } from '../../limit/limit.ts'
import { settle, then } from '../http/answer.ts'
import type { LimitsFunction } from '../http/budget.ts'
import type { Framework } from '../http/framework.ts'
import { Guard } from '../http/guard.ts'
import { identityOf } from '../http/identity.ts'
import { asHttpOptions, type HttpOptions, inheritedFrom, ownHttpOptions } from '../http/options.ts'
import { readHttpOptions } from '../http/read.ts'
import type { Warnings } from '../http/warning.ts'

/** Options of the plugin and of routes. */
export type Options = HttpOptions<FastifyRequest, FastifyReply>
/** A route's own limits in place of the plugin's; `false` for none. */
export type RouteLimit = LimitInput | LimitsFunction<FastifyRequest> | Options | false
/** A guard of Fastify's requests. */
export type FastifyGuard = Guard<FastifyRequest, FastifyReply>

/** A route's configuration; each plugin instance adds its guard under a symbol of its own. */
type Config = {
  readonly rateLimit?: RouteLimit | undefined
  /** Fastify adds these to what the route declared. */
  readonly method?: RouteOptions['method']
  readonly url?: string
  readonly [guard: symbol]: FastifyGuard | undefined
}

/** What tells one declaration of a route from another. */
interface Declared {
  readonly rateLimit: RouteLimit
  readonly constraints: unknown
  readonly guard: FastifyGuard | undefined
}

/** The guards of one server: the plugin's own, and those of the routes that have limits of their own. */
export class Guards {
  readonly #options: Options
  readonly #framework: Framework<FastifyRequest, FastifyReply>
  readonly #warnings: Warnings
  readonly #prefix: string
  readonly #global: FastifyGuard | undefined
  /** A GET route and the HEAD route that comes with it are declared apart, with the same settings. */
  readonly #declared = new Map<string, Declared[]>()
  readonly #early = new WeakMap<object, { readonly guard: FastifyGuard | undefined }>()
  readonly #own: FastifyGuard[] = []
  /** No route has limits of its own: then nobody has to ask which route a request is for. */
  #isGlobal: boolean
  /** Where a route's guard stands among its configuration. */
  readonly #symbol = Symbol('ratethrottle.guard')

  /** @param prefix tells the counters of several plugins in one server apart */
  constructor(
    options: Options,
    framework: Framework<FastifyRequest, FastifyReply>,
    warnings: Warnings,
    hasEarlyRoutes: boolean,
    prefix: string,
  ) {
    this.#prefix = prefix
    this.#isGlobal = !hasEarlyRoutes
    this.#options = ownHttpOptions(options)
    this.#framework = framework
    this.#warnings = warnings
    this.#global = this.#makeGlobal()
  }

  /** Makes a route's guard when the route is declared, so that a wrong limit stops the start. */
  prepare(route: RouteOptions): void {
    const config = (route.config ?? {}) as Config
    const name = `${withoutHead(route.method)} ${route.url}`
    const guard = this.#declare(config, name, route.constraints)
    route.config = { ...config, [this.#symbol]: guard } as NonNullable<RouteOptions['config']>
  }

  /** The guard of the route that a request is for: its own, or the plugin's. */
  of(request: FastifyRequest): FastifyGuard | undefined {
    if (this.#isGlobal) return this.#global
    const config = request.routeOptions.config as unknown as Config | undefined
    if (config === undefined) return this.#global
    if (this.#symbol in config) return config[this.#symbol]
    // A route from before the plugin, or no route at all.
    const known = this.#early.get(config)
    if (known !== undefined) return known.guard
    const guard = this.#declare(config, `early ${withoutHead(config.method)} ${config.url}`)
    this.#early.set(config, { guard })
    return guard
  }

  /** A guard beside those of the routes. What the plugin's options say holds for it too, but their limits. */
  make(rateLimit: Exclude<RouteLimit, false>, place: string): FastifyGuard {
    return this.#keep(
      {
        ...inheritedFrom(this.#options),
        ...asHttpOptions(rateLimit, 'config.rateLimit'),
      },
      place,
    )
  }

  close(): void {
    for (const guard of this.#own) guard.close()
  }

  #declare(config: Config, name: string, constraints?: unknown): FastifyGuard | undefined {
    const rateLimit = Object.hasOwn(config, 'rateLimit') ? config.rateLimit : undefined
    if (rateLimit === undefined) return this.#global
    this.#isGlobal = false
    const routes = this.#declared.get(name) ?? []
    const same = (other: Declared): boolean =>
      other.rateLimit === rateLimit && other.constraints === constraints
    const known = routes.find(same)
    if (known !== undefined) return known.guard
    const place = routes.length === 0 ? name : `${name} ${routes.length}`
    const guard = rateLimit === false ? undefined : this.make(rateLimit, place)
    this.#declared.set(name, [...routes, { rateLimit, constraints, guard }])
    return guard
  }

  #makeGlobal(): FastifyGuard | undefined {
    const { limits, burst, name, scope, policy } = this.#options
    if (limits !== undefined) return this.#keep(this.#options, 'global')
    for (const [option, value] of Object.entries({ burst, name, scope, policy })) {
      if (value === undefined) continue
      throw new TypeError(`${option} belongs beside the limits it is for`)
    }
    readHttpOptions(this.#options)
    return undefined
  }

  #keep(options: Options, place: string): FastifyGuard {
    const guard = new Guard(
      withReplies(options),
      this.#framework,
      this.#warnings,
      identityOf(this.#prefix + place),
    )
    this.#own.push(guard)
    return guard
  }
}

/** As with Fastify's own error handlers: what they return is sent. */
function withReplies({ handler, ...options }: Options): Options {
  if (typeof handler !== 'function') return { ...options, handler }
  return {
    ...options,
    handler: (request, reply, error) => {
      const answer = handler(request, reply, error)
      // A reply is a thenable that says when it has been sent.
      if (answer === reply) return undefined
      return then(settle(answer), (body) => {
        if (body !== undefined && !reply.sent) reply.send(body)
      })
    },
  }
}

/** The methods that share a budget: HEAD counts as GET, and comes by itself with every route that has GET. */
function withoutHead(method: RouteOptions['method'] | undefined): string {
  const methods = [method ?? []].flat()
  return methods.some((name) => name === 'GET' || name === 'HEAD') ? 'GET' : methods.join()
}
