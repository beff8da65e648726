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
import { RateLimitExceeded as Exceeded, RequestRefused as Refused } from '../errors.ts'
import { type Controls, controlsOf } from '../http/controls.ts'
import { allOf, byHeader, byIp, byUser, firstOf, type KeyMakers } from '../http/key-functions.ts'
import type { CheckedOptions } from '../http/options.ts'
import type { LimitsFunction } from '../http/request-limits.ts'
import { Warnings } from '../http/warning.ts'
import type { LimitInput } from '../limit/limit.ts'
import type { CheckedLimits } from '../limit/literal.ts'
import { invalid, mustBe } from '../validate.ts'
import { type Answerer, answerer } from './fastify/errors.ts'
import { type RateThrottleHook as Hook, hookOf } from './fastify/hook.ts'
import { fastifyFramework } from './fastify/internals.ts'
import {
  around,
  checkDecorators,
  decorate,
  inside,
  isRoot,
  register,
  turnOf,
} from './fastify/registration.ts'
import { type Inner, warnOfRoutes } from './fastify/route-warnings.ts'
import { Guards, type Options, type RouteLimit } from './fastify/routes.ts'

/** Options of the plugin. */
interface PluginOptions extends Options {
  /**
   * When requests are decided about: the later, the more a key function can know, and the more work an
   * abusive request has caused by then. Default: `'onRequest'`, before everything else.
   */
  readonly hook?: Stage | undefined
  /**
   * Of a registration within another instance that has one: says that its limits replace those around it although
   * they admit more. Then there is no RATETHROTTLE_LOOSER_ROUTE.
   */
  readonly replace?: boolean | undefined
}

type Stage = 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** This route's own limits in place of the plugin's, `false` for none at all. */
    rateLimit?: RouteLimit
  }
  interface FastifyRequest {
    /** The decision about this request: of several limits the tightest. `null` if none was asked. */
    rateLimit: Decision | null
  }
  interface FastifyInstance<RawServer, RawRequest, RawReply> {
    /**
     * Makes a hook with limits of its own, beside those of the plugin and the route, for any stage before the
     * handler: `preHandler: app.rateThrottle('5/minute')`. Make it once, where the route is declared. Options
     * of the nearest registration hold for it too, but their limits.
     *
     * Its `reset` and `peek` ask the limits of that registration; `ready` and `close` speak for all of it.
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
 * `limits` hold for every route of the instance, early ones and 404s included, in one budget per caller.
 * A route with `config.rateLimit` has a budget of its own instead. A refused request never reaches its
 * handler: a `RateLimitExceeded` (429) goes through the server's error handler, with `Retry-After` set.
 */
const rateThrottle: FastifyPluginCallback<PluginOptions> = (app, options, done) => {
  try {
    const guards = attach(app, options)
    // At once, unless there is a connection to wait for. The server starts with or without it.
    if (guards.global?.holdsConnection !== true) done()
    else void ready(app, guards).then(() => done())
  } catch (error) {
    // A throw here would hang the start: Fastify waits for a callback plugin to call back.
    done(error as Error)
  }
}

function attach(app: FastifyInstance, { hook, replace, ...options }: PluginOptions): Guards {
  const stage = readStage(hook)
  const isMeant = readReplace(app, replace)
  checkDecorators(app)
  const warnings = new Warnings()
  const hasEarlyRoutes = app.printRoutes() !== '(empty tree)'
  const framework = fastifyFramework(app, warnings)
  const guards = new Guards(options, framework, warnings, hasEarlyRoutes, turnOf(app))
  const answer = answerer()
  register(app, guards)
  decorate(app, decoratorOf(guards, answer))
  app.addHook('onRoute', function (this: FastifyInstance, route: RouteOptions) {
    guards.prepare(this, route)
  })
  app.addHook('onReady', async () => {
    warnOfRoutes(guards.settle(), isMeant ? undefined : innerOf(app, guards), warnings)
    await ready(app, guards)
  })
  app.addHook(
    stage as 'onRequest',
    hookOf((request) => guards.of(request), answer) as onRequestHookHandler,
  )
  // Before Fastify waits for the requests in flight: it would wait for those that wait here.
  app.addHook('preClose', (closing: HookHandlerDoneFunction) => {
    guards.release()
    closing()
  })
  app.addHook('onClose', (_: FastifyInstance, closed: HookHandlerDoneFunction) => {
    guards.close()
    closed()
  })
  return guards
}

/** Waits for connections, but not so long that Fastify gives the plugin up. */
async function ready(app: FastifyInstance, guards: Guards): Promise<void> {
  const { pluginTimeout = 0 } = app.initialConfig
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    if (pluginTimeout > 0) timer = setTimeout(resolve, pluginTimeout * MOST_OF_TIMEOUT)
  })
  await Promise.race([controlsOf(guards.global, guards.others).ready(), late])
  clearTimeout(timer)
}

const MOST_OF_TIMEOUT = 0.8

/** `app.rateThrottle`: makes hooks, and controls the plugin's own limits. */
function decoratorOf(guards: Guards, answer: Answerer): FastifyInstance['rateThrottle'] {
  const make = (limits: Exclude<RouteLimit, false>): Hook & Controls => {
    const guard = guards.hook(limits)
    return Object.assign(
      hookOf(() => guard, answer),
      controlsOf(guard),
    )
  }
  return Object.assign(
    make,
    controlsOf(guards.global, guards.others),
  ) as FastifyInstance['rateThrottle']
}

/** @throws TypeError with code INVALID_OPTION where there is nothing around that could be replaced */
function readReplace(app: FastifyInstance, replace: unknown): boolean {
  const isRight = replace === undefined || (typeof replace === 'boolean' && !isRoot(app))
  if (isRight) return replace === true
  const accepted = 'true or false, of a route or of a registration within another instance'
  throw invalid(TypeError, 'INVALID_OPTION', 'replace', accepted, replace)
}

/** What a registration puts in place of limits around it. The first of an instance speaks for all. */
function innerOf(app: FastifyInstance, guards: Guards): Inner | undefined {
  const all = inside(app).filter(({ hasGlobal }) => hasGlobal)
  if (all[0] !== guards) return undefined
  const optionsOf = (of: readonly Guards[]) => of.flatMap(({ options }) => options ?? [])
  return { prefix: app.prefix, options: optionsOf(all), replaced: optionsOf(around(app)) }
}

function readStage(hook: unknown): Stage {
  const stage = STAGES.find((name) => name === (hook ?? 'onRequest'))
  if (stage !== undefined) return stage
  throw new RangeError(mustBe('hook', STAGES.map((name) => `"${name}"`).join(' or '), hook))
}

const STAGES: readonly Stage[] = ['onRequest', 'preParsing', 'preValidation', 'preHandler']

/** What all adapters export, here as properties of the plugin: the module is the plugin itself. */
interface Shared extends KeyMakers<FastifyRequest> {
  readonly RateLimitExceeded: typeof Exceeded
  readonly RequestRefused: typeof Refused
  readonly TRUST_EVERYBODY: typeof TRUST_EVERYBODY
}

const SHARED: Shared = {
  RateLimitExceeded: Exceeded,
  RequestRefused: Refused,
  TRUST_EVERYBODY,
  allOf,
  byHeader,
  byIp,
  byUser,
  firstOf,
}

/** What fastify-plugin would set: hooks reach the whole instance, and Fastify checks its own version. */
const plugin: typeof rateThrottle & {
  rateThrottle: typeof rateThrottle
  default: typeof rateThrottle
} & Shared = Object.assign(rateThrottle, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'ratethrottle',
  [Symbol.for('plugin-meta')]: { name: 'ratethrottle', fastify: '5.x' },
  ...SHARED,
  rateThrottle,
  default: rateThrottle,
})

/** Types by the names that they have in the other adapters. It has no values, so it is no more than types. */
declare namespace plugin {
  export type RateLimitExceeded = Exceeded
  export type RequestRefused = Refused
  export type RateThrottleHook = Hook
  export type RateThrottleOptions = PluginOptions
}

// Node takes the names that an ES module can import from this text, before it runs anything. `export =` then
// replaces what is set here, so each name has to be a property of the plugin as well.
exports.rateThrottle = rateThrottle
exports.RateLimitExceeded = Exceeded
exports.RequestRefused = Refused
exports.TRUST_EVERYBODY = TRUST_EVERYBODY
exports.allOf = allOf
exports.byHeader = byHeader
exports.byIp = byIp
exports.byUser = byUser
exports.firstOf = firstOf

export = plugin
