import type {
  FastifyInstance,
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
  onRequestHookHandler,
  RouteGenericInterface,
  RouteOptions,
} from 'fastify'
import { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
import type { Decision } from '../decision.ts'
import {
  ConcurrencyExceeded as AtATime,
  RateLimitExceeded as Exceeded,
  RequestRefused as Refused,
} from '../errors.ts'
import { type Controls, controlsOf, type HandOn, refuseMore } from '../http/adapter.ts'
import { type ConfigOpener, openConfigured, withoutConfig } from '../http/config.ts'
import { Warnings } from '../http/events.ts'
import { HttpLimiter } from '../http/http-limiter.ts'
import { allOf, byHeader, byIp, byUser, firstOf, type KeyMakers } from '../http/key-functions.ts'
import { type CheckedOptions, ownHttpOptions } from '../http/options.ts'
import type { LimitsFunction } from '../http/request-limits.ts'
import { openShield, type RequestVerdict, withoutShield } from '../http/shield.ts'
import type { CheckedLimits, LimitInput } from '../limit/limit.ts'
import { withTimeout } from '../limiter.ts'
import { limiterNameOf } from '../storage-url.ts'
import { invalid, oneOf } from '../validate.ts'
import {
  fastifyAdapter,
  type RateThrottleHook as Hook,
  handOnRefusals,
  hookOf,
} from './fastify/hook.ts'
import {
  chainOf,
  type Inner,
  instancePrefix,
  isPolluted,
  isRoot,
  ownersAround,
  register,
  registeredIn,
  taken,
  warnAboutRoutes,
} from './fastify/internals.ts'
import { type Options, type RouteLimit, RouteLimiters, withReplies } from './fastify/routes.ts'

/** Options of the plugin. */
interface PluginOptions extends Options {
  /**
   * When requests are decided about. The later, the more a key function can know about the request, and the more
   * work an abusive request has caused by then. Default: `'onRequest'`, before everything else.
   */
  readonly hook?: Stage | undefined
  /**
   * For a registration within another: confirms that its limits replace the outer ones although they admit more.
   * Then there is no RATETHROTTLE_LOOSER_ROUTE.
   */
  readonly replace?: boolean | undefined
}

const STAGES = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
type Stage = (typeof STAGES)[number]

declare module 'fastify' {
  interface FastifyContextConfig {
    /** This route's own limits in place of the plugin's, `false` for none at all. */
    rateLimit?: RouteLimit
  }
  interface FastifyRequest {
    /** The decision about this request: of several limits the tightest. `null` if none was asked. */
    rateLimit: Decision | null
    /** What the shield says about this request. `null` if none was asked. */
    readonly shield?: RequestVerdict | null
  }
  interface FastifyInstance<RawServer, RawRequest, RawReply> {
    /**
     * Makes a hook whose limits apply in addition to those of the plugin and the route, for any stage before the
     * handler: `preHandler: app.rateThrottle('5/minute')`. Make it once, where the route is declared. It has the
     * options of the nearest registration, except for the limits.
     *
     * `app.rateThrottle.reset` and `peek` use the limits of that registration, `ready` and `close` all its limiters.
     */
    rateThrottle: Decorator<
      FastifyRequest<RouteGenericInterface, RawServer, RawRequest>,
      FastifyReply<RouteGenericInterface, RawServer, RawRequest, RawReply>
    >
  }
}

/** `app.rateThrottle`. */
interface Decorator<Request, Reply> extends Controls {
  <const L extends LimitInput>(limits: CheckedLimits<L>): Hook & Controls
  <const L extends LimitInput>(
    options: LimitsFunction<Request> | CheckedOptions<L, Request, Reply>,
  ): Hook & Controls
}

/**
 * Limits the requests of a Fastify server.
 *
 * ```ts
 * await app.register(rateThrottle, { limits: '100/minute' })
 * app.get('/search', { config: { rateLimit: '10/minute' } }, handler)
 * ```
 *
 * `limits` apply to all routes of the instance together, early ones and 404s included. A route with
 * `config.rateLimit` has its own limits and counters instead. A refused request never reaches its handler: a
 * `RateLimitExceeded` (429) goes through the server's error handler, with `Retry-After` set.
 */
const rateThrottle: FastifyPluginCallback<PluginOptions> = (app, options, done) => {
  try {
    const limiters = attach(app, options)
    // At once, unless there is a connection to wait for. The server starts with or without it.
    if (limiters.global?.holdsConnection !== true) done()
    else void ready(app, limiters).then(() => done())
  } catch (error) {
    // A throw here would hang the start: callback plugins must call `done`.
    done(error as Error)
  }
}

function attach(app: FastifyInstance, { hook, replace, ...options }: PluginOptions): RouteLimiters {
  const stage = oneOf(hook ?? 'onRequest', 'hook', STAGES)
  const isMeant = readReplace(app, replace)
  checkDecorators(app)
  const warnings = new Warnings()
  const hasEarlyRoutes = app.printRoutes() !== '(empty tree)'
  const adapter = fastifyAdapter(app, warnings)
  const prefix = instancePrefix(app)
  const ofLimits = withoutShield(options)
  const open = (own: Options, place: string): HttpLimiter => {
    const name = limiterNameOf(prefix + place)
    const shown = place === 'global' ? app.prefix || place : place
    return new HttpLimiter(withReplies(own), adapter, warnings, name, shown)
  }
  const openShieldOf = (own: Options) => openShield(own, adapter, warnings)
  const opener = { reader: adapter, open: (own: Options) => open(own, ''), shield: openShieldOf }
  const configured = openConfigured(ownHttpOptions(options), opener as ConfigOpener)
  const routes = configured === undefined ? ofLimits : withoutConfig(ofLimits)
  const limiters = new RouteLimiters(routes, warnings, hasEarlyRoutes, open, configured?.limiter)
  const handOn = handOnRefusals(adapter)
  const shield = configured?.shield ?? openShieldOf(options)
  if (shield?.isOn === true) {
    const loaded = require('./fastify/shield.js') as typeof import('./fastify/shield.ts')
    loaded.putBefore(app, shield, handOn, limiters)
  }
  register(app, limiters)
  decorate(app, decoratorOf(limiters, handOn))
  app.addHook('onRoute', function (this: FastifyInstance, route: RouteOptions) {
    limiters.addRoute(this, route)
  })
  app.addHook('onReady', async () => {
    const inner = isMeant ? undefined : innerOf(app, limiters)
    warnAboutRoutes(limiters.finishRoutes(), inner, warnings)
    await ready(app, limiters)
  })
  app.addHook(stage as 'onRequest', hookOf(limiters, handOn) as onRequestHookHandler)
  // Before Fastify waits for the requests in flight: it would wait for those that are parked here.
  app.addHook('preClose', (closing: HookHandlerDoneFunction) => {
    limiters.release()
    closing()
  })
  app.addHook('onClose', (_: FastifyInstance, closed: HookHandlerDoneFunction) => {
    controlsOf(limiters.global, limiters.others).close()
    closed()
  })
  return limiters
}

/** The part of Fastify's time for plugins that is spent on waiting for connections. */
const MAX_PART_OF_TIMEOUT = 0.8

/** Waits for connections, but not until Fastify gives the plugin up. */
async function ready(app: FastifyInstance, { global, others }: RouteLimiters): Promise<void> {
  const { pluginTimeout = 0 } = app.initialConfig
  const states = controlsOf(global, others).ready()
  if (pluginTimeout <= 0) await states
  else await withTimeout(states, pluginTimeout * MAX_PART_OF_TIMEOUT, 'ready').catch(() => {})
}

/** `app.rateThrottle`: makes hooks, and controls the plugin's own limits. */
function decoratorOf(
  limiters: RouteLimiters,
  handOn: HandOn<FastifyRequest, FastifyReply>,
): FastifyInstance['rateThrottle'] {
  const make = (
    limits: Exclude<RouteLimit, false>,
    ...more: readonly unknown[]
  ): Hook & Controls => {
    refuseMore(more, 'rateThrottle')
    const limiter = limiters.makeForHook(limits)
    const hook = hookOf({ uniform: limiter, of: () => limiter }, handOn)
    return Object.assign(hook, controlsOf(limiter))
  }
  const controls = controlsOf(limiters.global, limiters.others)
  return Object.assign(make, controls) as FastifyInstance['rateThrottle']
}

/** @throws TypeError with code INVALID_OPTION where there are no limits around that could be replaced */
function readReplace(app: FastifyInstance, replace: unknown): boolean {
  const isRight = replace === undefined || (typeof replace === 'boolean' && !isRoot(app))
  if (isRight) return replace === true
  const accepted = 'true or false, of a route or of a registration within another instance'
  throw invalid(TypeError, 'INVALID_OPTION', 'replace', accepted, replace)
}

/** A registration that replaces limits around it, to be checked. The first of an instance stands for all. */
function innerOf(app: FastifyInstance, limiters: RouteLimiters): Inner | undefined {
  const all = registeredIn(app).filter(({ global }) => global !== undefined)
  if (all[0] !== limiters) return undefined
  const optionsOf = (of: readonly RouteLimiters[]) =>
    of.flatMap(({ globalOptions }) => globalOptions ?? [])
  return { prefix: app.prefix, options: optionsOf(all), replaced: optionsOf(ownersAround(app)) }
}

/** Functions that are this plugin's decorator. */
const DECORATORS = new WeakSet<object>()
/** Instances whose requests this plugin has decorated. */
const DECORATED = new WeakSet<object>()

/** Gives the instance `rateThrottle` and its requests `rateLimit`, unless a registration has done so before. */
function decorate(app: FastifyInstance, rateThrottle: FastifyInstance['rateThrottle']): void {
  if (!isDecorated(app)) {
    app.decorateRequest('rateLimit', null)
    DECORATED.add(app)
  }
  if (Object.hasOwn(app, 'rateThrottle')) return
  DECORATORS.add(rateThrottle)
  app.decorate('rateThrottle', rateThrottle)
}

/**
 * Stops the start where another plugin has taken a name that this one needs: otherwise each request would fail,
 * or its decision would be lost.
 *
 * @throws TypeError with the code DECORATOR_TAKEN
 */
function checkDecorators(app: FastifyInstance): void {
  const { rateThrottle } = app as { rateThrottle?: object }
  const isForeign = app.hasDecorator('rateThrottle') && !DECORATORS.has(rateThrottle ?? {})
  if (isForeign && !isPolluted('rateThrottle')) throw taken('app.rateThrottle')
  if (!app.hasRequestDecorator('rateLimit') || isDecorated(app)) return
  if (!isPolluted('rateLimit')) throw taken('request.rateLimit')
}

function isDecorated(app: FastifyInstance): boolean {
  return chainOf(app).some((instance) => DECORATED.has(instance))
}

/** The exports of the other adapters, as properties of the plugin: this module is the plugin itself. */
interface Exports extends KeyMakers<FastifyRequest> {
  readonly ConcurrencyExceeded: typeof AtATime
  readonly RateLimitExceeded: typeof Exceeded
  readonly RequestRefused: typeof Refused
  readonly TRUST_EVERYBODY: typeof TRUST_EVERYBODY
  rateThrottle: typeof rateThrottle
  default: typeof rateThrottle
}

// Node reads in this text, without running it, the names that an ES module can import. `export =` then replaces
// what is set here, so the plugin has each of them as a property, too.
exports.rateThrottle = rateThrottle
exports.ConcurrencyExceeded = AtATime
exports.RateLimitExceeded = Exceeded
exports.RequestRefused = Refused
exports.TRUST_EVERYBODY = TRUST_EVERYBODY
exports.allOf = allOf
exports.byHeader = byHeader
exports.byIp = byIp
exports.byUser = byUser
exports.firstOf = firstOf

/** With what fastify-plugin would set: hooks reach the whole instance, and Fastify checks its own version. */
const plugin: typeof rateThrottle & Exports = Object.assign(rateThrottle, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'ratethrottle',
  [Symbol.for('plugin-meta')]: { name: 'ratethrottle', fastify: '5.x' },
  ...(exports as Omit<Exports, 'default'>),
  default: rateThrottle,
})

/** Types under the names that they have in the other adapters. */
declare namespace plugin {
  export type ConcurrencyExceeded = AtATime
  export type RateLimitExceeded = Exceeded
  export type RequestRefused = Refused
  export type RateThrottleHook = Hook
  export type RateThrottleOptions = PluginOptions
}

export = plugin
