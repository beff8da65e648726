import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { RateLimitExceeded } from '../../errors.ts'
import type { HttpAdapter } from '../../http/adapter.ts'
import { Children } from '../../http/children.ts'
import { HttpLimiter } from '../../http/http-limiter.ts'
import { limiterNameOf, nextLimiterName } from '../../http/identity.ts'
import type { HttpOptions } from '../../http/options.ts'
import { tellOfLimitersPerRequest, wasAnyAsked } from '../../http/per-request.ts'
import type { LimitsFunction } from '../../http/request-limits.ts'
import {
  asHttpOptions,
  inheritedFrom,
  ownHttpOptions,
  readHttpOptions,
} from '../../http/resolve-options.ts'
import type { Warnings } from '../../http/warning.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { andThen, toPromise } from '../../maybe-promise.ts'
import { ownersOf } from './registration.ts'
import { type Route, warnOfRoutes, withoutReplace } from './route-warnings.ts'

/** Options of the plugin and of routes. */
export type Options = HttpOptions<FastifyRequest, FastifyReply>
/** Options of a route. */
export interface RouteRateLimitOptions extends Options {
  /** Says that this limit replaces the plugin's although it admits more: no RATETHROTTLE_LOOSER_ROUTE. */
  readonly replace?: boolean | undefined
}
/** A route's own limits in place of the plugin's; `false` for none. */
export type RouteLimit = LimitInput | LimitsFunction<FastifyRequest> | RouteRateLimitOptions | false
/** A guard of Fastify's requests. */
export type FastifyGuard = HttpLimiter<FastifyRequest, FastifyReply>

/** What a route has in its configuration, which Fastify copies: each registration puts a slot there. */
interface Slot {
  guard: FastifyGuard | undefined
}

/** A route's configuration, with each registration's slot under a symbol of its own. */
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

/** What tells one declaration of a route from another. */
interface Declared {
  readonly rateLimit: RouteLimit
  readonly constraints: unknown
  readonly guard: FastifyGuard | undefined
}

/** The guards of one registration: the plugin's own, and those of the routes that have limits of their own. */
export class Guards {
  readonly #options: Options
  readonly #framework: HttpAdapter<FastifyRequest, FastifyReply>
  readonly #warnings: Warnings
  readonly #prefix: string
  readonly #global: FastifyGuard | undefined
  /** A GET route and the HEAD route that comes with it are declared apart, with the same settings. */
  readonly #declared = new Map<string, Declared[]>()
  readonly #early = new WeakMap<object, Slot>()
  #seen: Seen[] = []
  /** Routes whose configuration a hook of the user's has put another in place of, without the slot. */
  readonly #replaced = new Set<string>()
  /** Those of hooks, which the program may let go of. */
  readonly #hooks = new Children<FastifyGuard>()
  #isStarted = false
  /** No route has limits of its own, nor a registration of its own: then all requests are treated alike. */
  #isGlobal: boolean
  /** Where a route's slot stands among its configuration. */
  readonly #symbol = Symbol('ratethrottle.guard')

  /** @param prefix tells the counters of several registrations in one server apart */
  constructor(
    options: Options,
    framework: HttpAdapter<FastifyRequest, FastifyReply>,
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

  /** The guard of all routes that have no limits of their own, if there is one. */
  get global(): FastifyGuard | undefined {
    return this.#global
  }

  get hasGlobal(): boolean {
    return this.#global !== undefined
  }

  /** The options of that guard. */
  get options(): Options | undefined {
    return this.#global === undefined ? undefined : this.#options
  }

  /** Says that an instance within this one has a registration of its own, which may own routes. */
  share(): void {
    this.#isGlobal = false
  }

  /** Makes a route's guard when the route is declared, so that a wrong limit stops the start. */
  prepare(app: FastifyInstance, route: RouteOptions): void {
    const slot: Slot = { guard: undefined }
    const seen = { app, route, name: `${withoutHead(route.method)} ${route.url}`, slot }
    slot.guard = this.#guardOf(seen)
    this.#seen.push(seen)
    route.config = { ...route.config, [this.#symbol]: slot } as NonNullable<RouteOptions['config']>
  }

  /**
   * Looks at all routes once more when the server is about to start: hooks of the user's may have changed
   * their configuration, and instances within this one may have registrations of their own.
   *
   * @returns the routes that are this registration's to warn of
   */
  settle(): Route[] {
    const seen = this.#seen
    this.#seen = []
    this.#isStarted = true
    for (const one of seen) {
      one.slot.guard = this.#guardOf(one)
      if (!(this.#symbol in configOf(one.route))) this.#replaced.add(one.name)
    }
    this.#closeUnused(new Set(seen.map(({ slot }) => slot.guard)))
    return seen
      .filter(({ app }) => ownersOf(app, true)[0] === this)
      .map(({ app, name, route }) => {
        const config = configOf(route)
        return routeOf(app, name, config, route)
      })
  }

  /** The guard of the route that a request is for: its own, the plugin's, or none of this registration's. */
  of(request: FastifyRequest): FastifyGuard | undefined {
    if (this.#isGlobal) return this.#global
    const config = request.routeOptions.config as unknown as Config | undefined
    if (config === undefined) return this.#owns(request.server, {}) ? this.#global : undefined
    const slot = config[this.#symbol] ?? this.#early.get(config)
    return slot === undefined ? this.#guardOfEarly(request.server, config) : slot.guard
  }

  /** A guard beside those of the routes. What the plugin's options say holds for it too, but their limits. */
  hook(limits: Exclude<RouteLimit, false>): FastifyGuard {
    // Routes can't be declared any more, so it is none of theirs.
    if (this.#isStarted && wasAnyAsked()) tellOfLimitersPerRequest()
    const guard = this.#make(limits, limiterNameOf(this.#prefix + nextLimiterName()))
    this.#hooks.add(guard)
    return guard
  }

  /** All guards but that of the plugin's own limits, as there are when they are asked for. */
  get others(): Iterable<FastifyGuard> {
    const all = (): FastifyGuard[] => {
      const routes = [...this.#declared.values()].flat()
      return [...routes.flatMap(({ guard }) => guard ?? []), ...this.#hooks]
    }
    return { [Symbol.iterator]: () => all()[Symbol.iterator]() }
  }

  /** Answers the requests that wait: the server shuts down. */
  release(): void {
    this.#global?.release()
    for (const guard of this.others) guard.release()
  }

  close(): void {
    this.#global?.close()
    for (const guard of this.others) guard.close()
  }

  /** Of a route from before the plugin, of one whose configuration was replaced, or of no route at all. */
  #guardOfEarly(app: FastifyInstance, config: Config): FastifyGuard | undefined {
    const name = `${withoutHead(config.method)} ${config.url}`
    const same = (one: Declared): boolean => one.rateLimit === config.rateLimit
    const known = this.#replaced.has(name) ? this.#declared.get(name)?.find(same) : undefined
    // Where it was declared the plugin was not there yet, so the first request is the time to tell.
    if (known === undefined && ownersOf(app, true)[0] === this) {
      warnOfRoutes([routeOf(app, name, config, {})], undefined, this.#warnings)
    }
    const slot = known ?? { guard: this.#declare(app, config, `early ${name}`, undefined) }
    this.#early.set(config, { guard: slot.guard })
    return slot.guard
  }

  #guardOf({ app, route, name }: Seen): FastifyGuard | undefined {
    return this.#declare(app, configOf(route), name, route.constraints)
  }

  #declare(
    app: FastifyInstance,
    config: Config,
    name: string,
    constraints: unknown,
  ): FastifyGuard | undefined {
    if (!this.#owns(app, config)) return undefined
    const rateLimit = limitOf(config)
    if (rateLimit === undefined) return this.#global
    this.#isGlobal = false
    const routes = this.#declared.get(name) ?? []
    const same = (other: Declared): boolean =>
      other.rateLimit === rateLimit && other.constraints === constraints
    const known = routes.find(same)
    if (known !== undefined) return known.guard
    const place = routes.length === 0 ? name : `${name} ${routes.length}`
    const guard =
      rateLimit === false
        ? undefined
        : this.#make(withoutReplace(rateLimit), limiterNameOf(this.#prefix + place))
    this.#declared.set(name, [...routes, { rateLimit, constraints, guard }])
    return guard
  }

  #owns(app: FastifyInstance, config: Config): boolean {
    return ownersOf(app, limitOf(config) !== undefined).includes(this)
  }

  /** Guards of routes that turned out to be others', or to have other limits. */
  #closeUnused(used: ReadonlySet<FastifyGuard | undefined>): void {
    for (const [name, routes] of this.#declared) {
      const [kept, unused] = [true, false].map((is) =>
        routes.filter(({ guard }) => (guard === undefined || used.has(guard)) === is),
      )
      for (const { guard } of unused ?? []) guard?.close()
      this.#declared.set(name, kept ?? [])
    }
  }

  #makeGlobal(): FastifyGuard | undefined {
    const { limits, burst, name, scope, policy } = this.#options
    if (limits !== undefined) {
      return this.#open(this.#options, limiterNameOf(`${this.#prefix}global`))
    }
    for (const [option, value] of Object.entries({ burst, name, scope, policy })) {
      if (value === undefined) continue
      throw new TypeError(`${option} belongs beside the limits it is for`)
    }
    readHttpOptions(this.#options)
    return undefined
  }

  #make(rateLimit: Exclude<RouteLimit, false>, identity: string): FastifyGuard {
    const own = asHttpOptions(rateLimit, 'config.rateLimit')
    return this.#open({ ...inheritedFrom(this.#options), ...own }, identity)
  }

  #open(options: Options, identity: string): FastifyGuard {
    return new HttpLimiter(withReplies(options), this.#framework, this.#warnings, identity)
  }
}

function routeOf(app: FastifyInstance, name: string, config: Config, options: object): Route {
  const replaced = ownersOf(app, false).flatMap((guards) => guards.options ?? [])
  return { name, config, options, rateLimit: limitOf(config), replaced }
}

function configOf({ config }: RouteOptions): Config {
  return (config ?? {}) as unknown as Config
}

/** Only what is the configuration's own: nothing from a polluted prototype. */
function limitOf(config: Config): RouteLimit | undefined {
  return Object.hasOwn(config, 'rateLimit') ? config.rateLimit : undefined
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
      return andThen(toPromise(answer), (body) => {
        // Sent, it would lose what a response schema does not name.
        if (body instanceof RateLimitExceeded) throw body
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
