import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { RateLimitExceeded } from '../../errors.ts'
import { Children } from '../../http/adapter.ts'
import type { RequestLimiter } from '../../http/config.ts'
import { type Warnings, warnOfLimitersPerRequest, wasAnyAsked } from '../../http/events.ts'
import type { HttpLimiter } from '../../http/http-limiter.ts'
import { besideConfig } from '../../http/lasting.ts'
import {
  type HttpOptions,
  limitsAny,
  ownHttpOptions,
  resolveHttpOptions,
  withLimits,
} from '../../http/options.ts'
import type { LimitsFunction } from '../../http/request-limits.ts'
import { refuseShield } from '../../http/shield.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { andThen, toPromise } from '../../limiter.ts'
import { nextLimiterName } from '../../storage-url.ts'
import { withCode } from '../../validate.ts'
import { ownersOf, printed, type Route, warnAboutRoutes, withoutReplace } from './internals.ts'

/** Options of the plugin and of routes. */
export type Options = HttpOptions<FastifyRequest, FastifyReply>
/** Options of a route. */
export interface RouteRateLimitOptions extends Options {
  /** Confirms that this limit replaces the plugin's although it admits more: no RATETHROTTLE_LOOSER_ROUTE. */
  readonly replace?: boolean | undefined
}
/** A route's own limits in place of the plugin's; `false` for none. */
export type RouteLimit = LimitInput | LimitsFunction<FastifyRequest> | RouteRateLimitOptions | false

/** @param place where the limiter stands in the program: its counters in a store are named by it */
type OpenLimiter = (options: Options, place: string) => HttpLimiter

/** Where a registration keeps the limiter of a route: in its configuration, which Fastify copies. */
interface Slot {
  limiter: RequestLimiter | undefined
}

/** A route's configuration, with each registration's slot under its own symbol. */
type Config = {
  readonly rateLimit?: RouteLimit | undefined
  /** Fastify adds these to what the route declared. */
  readonly method?: RouteOptions['method']
  readonly url?: string
  readonly [slot: symbol]: Slot | undefined
}

/** A route that was seen while it was declared. */
interface Seen {
  readonly app: FastifyInstance
  readonly route: RouteOptions
  readonly name: string
  readonly slot: Slot
}

/** What distinguishes one declaration of a route from another. */
interface Declared {
  readonly rateLimit: RouteLimit
  readonly constraints: unknown
  readonly limiter: RequestLimiter | undefined
}

/** The limiters of one registration: the plugin's own, and those of routes with their own limits. */
export class RouteLimiters {
  /** The limiter of all routes without their own limits, if there is one. */
  readonly global: RequestLimiter | undefined
  readonly #options: Options
  readonly #warnings: Warnings
  readonly #open: OpenLimiter
  /** That of a configuration file, which has all limits. */
  readonly #configured: RequestLimiter | undefined
  /** A GET route and the HEAD route that comes with it are declared apart, with the same settings. */
  readonly #declared = new Map<string, Declared[]>()
  readonly #early = new WeakMap<object, Slot>()
  #seen: Seen[] = []
  /** Routes whose configuration was replaced by a user's hook, which has left out the slot. */
  readonly #replaced = new Set<string>()
  /** Those of hooks, which the program may drop. */
  readonly #hooks = new Children()
  #isStarted = false
  /** That of all requests, while no route has its own limits and no inner instance has registered the plugin. */
  uniform: RequestLimiter | undefined
  readonly #slotSymbol = Symbol('ratethrottle.limiter')

  constructor(
    options: Options,
    warnings: Warnings,
    hasEarlyRoutes: boolean,
    open: OpenLimiter,
    configured?: RequestLimiter,
  ) {
    this.#options = ownHttpOptions(options)
    this.#warnings = warnings
    this.#open = open
    this.#configured = configured
    this.global = this.#makeGlobal()
    this.uniform = hasEarlyRoutes ? undefined : this.global
  }

  /** The options of the plugin's own limiter. */
  get globalOptions(): Options | undefined {
    return this.global === undefined ? undefined : this.#options
  }

  /** Makes a route's limiter when the route is declared, so that a wrong limit stops the start. */
  addRoute(app: FastifyInstance, route: RouteOptions): void {
    const slot: Slot = { limiter: undefined }
    const seen = { app, route, name: `${countedMethods(route.method)} ${route.url}`, slot }
    slot.limiter = this.#limiterOf(seen)
    this.#seen.push(seen)
    route.config = { ...route.config, [this.#slotSymbol]: slot } as NonNullable<
      RouteOptions['config']
    >
  }

  /**
   * Looks at all routes again before the server starts: users' hooks may have changed their configuration, and
   * instances within this one may have registered the plugin.
   *
   * @returns the routes that this registration has to check for mistakes
   */
  finishRoutes(): Route[] {
    const seen = this.#seen
    this.#seen = []
    this.#isStarted = true
    for (const one of seen) {
      one.slot.limiter = this.#limiterOf(one)
      if (!(this.#slotSymbol in configOf(one.route))) this.#replaced.add(one.name)
    }
    this.#closeUnused(new Set(seen.map(({ slot }) => slot.limiter)))
    return seen
      .filter(({ app }) => ownersOf(app, true)[0] === this)
      .map(({ app, name, route }) => routeOf(app, name, configOf(route), route))
  }

  /** The limiter for a request: that of its route, the plugin's, or none of this registration. */
  of(request: FastifyRequest): RequestLimiter | undefined {
    const config = request.routeOptions.config as unknown as Config | undefined
    if (config === undefined) return this.#owns(request.server, {}) ? this.global : undefined
    const slot = config[this.#slotSymbol] ?? this.#early.get(config)
    return slot === undefined ? this.#limiterOfEarly(request.server, config) : slot.limiter
  }

  /** A limiter for a hook, beside those of the routes. It has the plugin's options except for the limits. */
  makeForHook(limits: Exclude<RouteLimit, false>): HttpLimiter {
    // Once the server has started no routes can be declared, so it can't be for one of them.
    if (this.#isStarted && wasAnyAsked()) warnOfLimitersPerRequest()
    const limiter = this.#make(limits, nextLimiterName())
    this.#hooks.add(limiter)
    return limiter
  }

  /** All limiters but `global`: those there are whenever it is iterated. */
  readonly others: Iterable<RequestLimiter> = {
    [Symbol.iterator]: () => {
      const routes = [...this.#declared.values()].flat()
      return [...routes.flatMap(({ limiter }) => limiter ?? []), ...this.#hooks].values()
    },
  }

  /** Answers the requests that wait: the server shuts down. */
  release(): void {
    this.global?.release()
    for (const limiter of this.others) limiter.release()
  }

  /** Of a route from before the plugin, of one whose configuration was replaced, or of no route at all. */
  #limiterOfEarly(app: FastifyInstance, config: Config): RequestLimiter | undefined {
    const name = `${countedMethods(config.method)} ${config.url}`
    const same = (one: Declared): boolean => one.rateLimit === config.rateLimit
    const known = this.#replaced.has(name) ? this.#declared.get(name)?.find(same) : undefined
    // The plugin was not there when the route was declared, so it is checked with its first request.
    if (known === undefined && ownersOf(app, true)[0] === this) {
      warnAboutRoutes([routeOf(app, name, config, {})], undefined, this.#warnings)
    }
    const { limiter } = known ?? { limiter: this.#declare(app, config, `early ${name}`, undefined) }
    this.#early.set(config, { limiter })
    return limiter
  }

  #limiterOf({ app, route, name }: Seen): RequestLimiter | undefined {
    return this.#declare(app, configOf(route), name, route.constraints)
  }

  #declare(
    app: FastifyInstance,
    config: Config,
    name: string,
    constraints: unknown,
  ): RequestLimiter | undefined {
    if (!this.#owns(app, config)) return undefined
    const rateLimit = limitOf(config)
    if (rateLimit === undefined) return this.global
    this.uniform = undefined
    const routes = this.#declared.get(name) ?? []
    const known = routes.find(
      (other) => other.rateLimit === rateLimit && other.constraints === constraints,
    )
    if (known !== undefined) return known.limiter
    const place = routes.length === 0 ? name : `${name} ${routes.length}`
    const limiter = inRoute(name, () => {
      this.#refuseBesideConfig()
      return rateLimit === false ? undefined : this.#make(withoutReplace(rateLimit), place)
    })
    this.#declared.set(name, [...routes, { rateLimit, constraints, limiter }])
    return limiter
  }

  #owns(app: FastifyInstance, config: Config): boolean {
    return ownersOf(app, limitOf(config) !== undefined).includes(this)
  }

  /** Closes limiters of routes that turned out to belong to another registration, or to have other limits. */
  #closeUnused(used: ReadonlySet<RequestLimiter | undefined>): void {
    for (const [name, routes] of this.#declared) {
      const isUsed = ({ limiter }: Declared): boolean => limiter === undefined || used.has(limiter)
      for (const one of routes) if (!isUsed(one)) one.limiter?.close()
      this.#declared.set(name, routes.filter(isUsed))
    }
  }

  #makeGlobal(): RequestLimiter | undefined {
    if (this.#configured !== undefined) return this.#configured
    const { burst, name, scope, policy } = this.#options
    if (limitsAny(this.#options)) return this.#open(this.#options, 'global')
    for (const [option, value] of Object.entries({ burst, name, scope, policy })) {
      if (value === undefined) continue
      throw withCode(new TypeError(`${option} needs limits beside it`), 'INVALID_OPTION')
    }
    resolveHttpOptions(this.#options)
    return undefined
  }

  /** The routes of a file would not be what they say. */
  #refuseBesideConfig(): void {
    if (this.#configured !== undefined) throw besideConfig('a limit of its own')
  }

  #make(rateLimit: Exclude<RouteLimit, false>, place: string): HttpLimiter {
    this.#refuseBesideConfig()
    refuseShield(rateLimit)
    return this.#open(withLimits(this.#options, rateLimit, 'limits'), place)
  }
}

function routeOf(app: FastifyInstance, name: string, config: Config, options: object): Route {
  const replaced = ownersOf(app, false).flatMap(({ globalOptions }) => globalOptions ?? [])
  return { name, config, options, rateLimit: limitOf(config), replaced }
}

/** Puts the route in front of what is wrong with its options: `GET /t, config.rateLimit: Invalid limit ...`. */
function inRoute<T>(route: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    const { message, stack } = error
    error.message = `${printed(route.replace(/^early /, ''))}, config.rateLimit: ${message}`
    // It begins with the message as it was, and Node prints it.
    if (stack !== undefined) error.stack = stack.replace(message, () => error.message)
    throw error
  }
}

function configOf({ config }: RouteOptions): Config {
  return (config ?? {}) as unknown as Config
}

/** An own property only: nothing from a polluted prototype. */
function limitOf(config: Config): RouteLimit | undefined {
  return Object.hasOwn(config, 'rateLimit') ? config.rateLimit : undefined
}

/** As with Fastify's own error handlers: what they return is sent. */
export function withReplies({ handler, ...options }: Options): Options {
  if (typeof handler !== 'function') return { ...options, handler }
  return {
    ...options,
    handler: (request, reply, error) => {
      const answer = handler(request, reply, error)
      // A reply is a thenable that resolves when it has been sent.
      if (answer === reply) return undefined
      return andThen(toPromise(answer), (body) => {
        // Sent, it would lose what a response schema does not name.
        if (body instanceof RateLimitExceeded) throw body
        if (body !== undefined && !reply.sent) reply.send(body)
      })
    },
  }
}

/** The methods that share a limit: HEAD counts as GET, and comes by itself with every route that has GET. */
export function countedMethods(method: RouteOptions['method'] | undefined): string {
  const methods = [method ?? []].flat()
  return methods.some((name) => name === 'GET' || name === 'HEAD') ? 'GET' : methods.join()
}
