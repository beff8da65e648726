import type { FastifyInstance } from 'fastify'
import type { Warnings } from '../../http/events.ts'
import { burstOf, type Limit, type LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import { withBurst } from '../../options.ts'
import { boolean, withCode } from '../../validate.ts'
import type { Options, RouteLimit, RouteLimiters, RouteRateLimitOptions } from './routes.ts'

/** Reads a property that Fastify keeps under a symbol which it does not export. Looks for the symbol once. */
export function hiddenProperty<T>(description: string): (object: object) => T | undefined {
  let symbol: symbol | undefined
  return (object) => {
    symbol ??= chainOf(object)
      .flatMap((at) => Object.getOwnPropertySymbols(at))
      .find((one) => one.description === description)
    return symbol && (object as Record<symbol, T | undefined>)[symbol]
  }
}

/** An object and its prototypes: those of an instance of Fastify are the instances around it. */
export function chainOf(object: object): object[] {
  const chain: object[] = []
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at)) chain.push(at)
  return chain
}

/** Fastify takes what every object inherits for a decorator. */
export function isPolluted(name: string): boolean {
  return Object.hasOwn(Object.prototype, name)
}

export function taken(name: string): TypeError {
  const message = `another plugin has decorated ${name}, which ratethrottle needs: register only one of the two, or each in its own instance`
  return withCode(new TypeError(message), 'DECORATOR_TAKEN')
}

/** The registrations of each instance: two in one instance both apply. */
const REGISTERED = new WeakMap<object, RouteLimiters[]>()
/** How many registrations there are in a server. */
const COUNTS = new WeakMap<object, number>()

/** Adds a registration; those of the instances around it no longer have all routes to themselves. */
export function register(app: FastifyInstance, limiters: RouteLimiters): void {
  for (const outer of chainOf(app).slice(1)) {
    for (const one of REGISTERED.get(outer) ?? []) one.uniform = undefined
  }
  REGISTERED.set(app, [...registeredIn(app), limiters])
}

/** The registrations of the instance itself. */
export function registeredIn(app: object): readonly RouteLimiters[] {
  return REGISTERED.get(app) ?? []
}

/**
 * The registrations that a route belongs to: those of the nearest instance that has limits for it.
 *
 * @param app the instance that the route was declared in
 * @param hasOwn whether the route has its own limits, or says that it has none
 */
export function ownersOf(app: object, hasOwn: boolean): readonly RouteLimiters[] {
  for (const instance of chainOf(app)) {
    const found = registeredIn(instance)
    if (found.some(({ global }) => hasOwn || global !== undefined)) return found
  }
  return []
}

/** The registrations around an instance, whose limits one within it replaces. */
export function ownersAround(app: object): readonly RouteLimiters[] {
  return ownersOf(Object.getPrototypeOf(app), false)
}

/** Whether it is no instance within another. */
export function isRoot(app: object): boolean {
  return Object.getPrototypeOf(Object.getPrototypeOf(app) ?? {}) === null
}

/** Keeps the counters of a server's second registration apart from those of the first, also in a store. */
export function instancePrefix({ server }: FastifyInstance): string {
  const count = (COUNTS.get(server) ?? 0) + 1
  COUNTS.set(server, count)
  return count === 1 ? '' : `${count}: `
}

/** A route as it stands when the server starts. */
export interface Route {
  /** Such as `GET /search`. */
  readonly name: string
  readonly config: object
  /** What was declared, beside its configuration. */
  readonly options: object
  /** Its own limits, if it has some. */
  readonly rateLimit: RouteLimit | undefined
  /** The options of the registrations whose limits would apply if it had none. */
  readonly replaced: readonly Options[]
}

/** A registration within others, whose limits it replaces for the routes there. */
export interface Inner {
  /** Where its routes are. */
  readonly prefix: string
  /** Its options, and those of others in the same instance. */
  readonly options: readonly Options[]
  readonly replaced: readonly Options[]
}

/** How many routes a warning names. */
const MAX_NAMED = 5
/** Longest part of a route's or a property's name that is shown. */
const MAX_SHOWN = 80
const RIGHT = 'rateLimit'
/** What `rateLimit` is called in other places, without case and punctuation. */
const WORDS: ReadonlySet<string> = new Set([
  ...['', 's', 'er', 'ers', 'ed', 'ing', 'ings'].map((end) => `ratelimit${end}`),
  ...['', 'd', 'r', 's'].map((end) => `ratethrottle${end}`),
  ...['ratethrottling', 'limitrate'],
])

/** A route's limits without `replace`, which only confirms them. */
export function withoutReplace(rateLimit: Exclude<RouteLimit, false>): Exclude<RouteLimit, false> {
  if (!saysReplace(rateLimit)) return rateLimit
  const { replace, ...options } = rateLimit
  if (replace !== undefined) boolean(replace, 'replace')
  return options
}

/**
 * Warns once of routes that seem to misspell `rateLimit`, and once of routes that admit more than the limits they
 * replace; also of a registration within another that does.
 */
export function warnAboutRoutes(
  routes: readonly Route[],
  inner: Inner | undefined,
  warnings: Warnings,
): void {
  const misspelt = routes.flatMap(({ name, config, options }) => [
    ...Object.keys(config)
      .filter(isNearMiss)
      .map((key) => `${printed(name)} (config.${printed(key)})`),
    ...Object.keys(options)
      .filter((key) => key === RIGHT || isNearMiss(key))
      .map((key) => `${printed(name)} (${printed(key)} outside of config)`),
  ])
  if (misspelt.length > 0) {
    warnings.warnOnce(
      'RATETHROTTLE_UNKNOWN_ROUTE_CONFIG',
      `a route's limits belong in config.${RIGHT}; these routes have something like it: ${list(misspelt)}`,
    )
  }
  const looser = routes
    .filter(({ rateLimit, replaced }) => !isMeant(rateLimit) && isLooser(rateLimit, replaced))
    .map(({ name }) => printed(name))
  if (inner !== undefined && isLooserInside(inner)) {
    looser.unshift(`the registration in ${printed(inner.prefix || 'an instance without a prefix')}`)
  }
  if (looser.length === 0) return
  warnings.warnOnce(
    'RATETHROTTLE_LOOSER_ROUTE',
    `a route's config.${RIGHT} replaces the plugin's limits, an inner registration those around it, and these admit more ` +
      `than what they replace: ${list(looser)}. If that is intended, set { limits, replace: true }; ` +
      "for a limit in addition to the plugin's use a hook, app.rateThrottle(limits)",
  )
}

function isMeant(rateLimit: RouteLimit | undefined): boolean {
  return saysReplace(rateLimit) && rateLimit.replace === true
}

/** All registrations in one instance apply, so the strictest counts. */
function isLooserInside({ options, replaced }: Inner): boolean {
  return options.length > 0 && options.every((one) => isLooser(one, replaced))
}

/** Whether a name is meant to be `rateLimit`: another spelling or form of it, or a typing error. */
function isNearMiss(name: string): boolean {
  if (name === RIGHT) return false
  const word = name.toLowerCase().replace(/[^a-z]/g, '')
  if (WORDS.has(word)) return true
  const right = RIGHT.toLowerCase()
  // Other words begin otherwise, such as dateLimit.
  return word.startsWith('r') && Math.abs(word.length - right.length) <= 1 && isOneTypo(word, right)
}

/** Whether two words differ by one letter that was added, left out, changed or swapped with the next. */
function isOneTypo(one: string, other: string): boolean {
  let start = 0
  while (start < one.length && one[start] === other[start]) start++
  const [a, b] = [one.slice(start), other.slice(start)]
  const isSwapped = a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2)
  return isSwapped || a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1)
}

function saysReplace(given: RouteLimit | undefined): given is RouteRateLimitOptions {
  return isOptions(given) && Object.hasOwn(given, 'replace')
}

function list(names: readonly string[]): string {
  // A GET route and the HEAD route that comes with it have one name.
  const different = [...new Set(names)]
  const named = different.slice(0, MAX_NAMED).join(', ')
  const more = different.length - MAX_NAMED
  return more > 0 ? `${named} and ${more} more` : named
}

/** For a log: cut, and printable ASCII only. */
export function printed(name: string): string {
  return name.slice(0, MAX_SHOWN).replace(/[^\x20-\x7e]/g, '?')
}

/** The most that a limit admits over time: some units at once, and some more with each millisecond. */
interface Line {
  readonly atOnce: number
  readonly perMs: number
}

/** Tolerance for figures that are computed in different ways. */
const ROUNDING = 1e-9

/**
 * Whether limits admit more than those that they replace: at once, in the long run, or in some time between.
 * False for limits from a function, which are not known before there is a request.
 */
function isLooser(given: RouteLimit | Options | undefined, replaced: readonly Options[]): boolean {
  const lines = linesOf(limitsOf(given) ?? [])
  const before = linesOf(replaced.flatMap((options) => limitsOf(options) ?? []))
  if (lines.length === 0 || before.length === 0) return false
  const times = [0, ...crossings(lines), ...crossings(before)]
  return (
    isMore(slowest(lines), slowest(before)) ||
    times.some((ms) => isMore(maxIn(ms, lines), maxIn(ms, before)))
  )
}

function isMore(one: number, other: number): boolean {
  return one > other * (1 + ROUNDING)
}

function linesOf(limits: readonly Limit[]): readonly Line[] {
  return limits.map((limit) => ({
    atOnce: burstOf(limit),
    perMs: limit.count / limit.windowMs,
  }))
}

function slowest(lines: readonly Line[]): number {
  return Math.min(...lines.map(({ perMs }) => perMs))
}

/** What all of the limits together admit in this time. */
function maxIn(ms: number, lines: readonly Line[]): number {
  return Math.min(...lines.map(({ atOnce, perMs }) => atOnce + perMs * ms))
}

/** When one limit becomes the stricter one: between these times the most that is admitted grows evenly. */
function crossings(lines: readonly Line[]): number[] {
  return lines
    .flatMap((one) => lines.map((other) => (other.atOnce - one.atOnce) / (one.perMs - other.perMs)))
    .filter((ms) => Number.isFinite(ms) && ms > 0)
}

/** The limits that are known before there is a request, with their burst. */
function limitsOf(given: RouteLimit | Options | undefined): readonly Limit[] | undefined {
  const { limits, burst } = isOptions(given) ? given : { limits: given, burst: undefined }
  if (limits === undefined || limits === false || typeof limits === 'function') return undefined
  return withBurst(readLimits(limits as LimitInput), { algorithm: 'token-bucket', burst })
}

/** Whether it is options, rather than limits. */
function isOptions(given: RouteLimit | Options | undefined): given is Options {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
  return isObject && !Object.hasOwn(given, 'count')
}
