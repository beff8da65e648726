import type { Warnings } from '../../http/warning.ts'
import { invalid } from '../../validate.ts'
import { isLooser, isOptions } from './looser.ts'
import type { Options, RouteLimit, RouteRateLimitOptions } from './routes.ts'

/** A route as it stands when the server starts. */
export interface Route {
  /** Such as `GET /search`. */
  readonly name: string
  readonly config: object
  /** What was declared, beside its configuration. */
  readonly options: object
  /** Its own limits, if it has some. */
  readonly rateLimit: RouteLimit | undefined
  /** The options of the registrations whose limits would hold for it if it had none. */
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
const MOST_NAMED = 5
/** Longest part of a route's or a property's name that is shown. */
const MAX_SHOWN = 80
const RIGHT = 'rateLimit'
/** What `rateLimit` is called in other places, without case and punctuation. */
const WORDS: ReadonlySet<string> = new Set([
  ...['', 's', 'er', 'ers', 'ed', 'ing', 'ings'].map((end) => `ratelimit${end}`),
  ...['', 'd', 'r', 's'].map((end) => `ratethrottle${end}`),
  ...['ratethrottling', 'limitrate'],
])

/** A route's limits without what only says that they are meant. */
export function withoutReplace(rateLimit: Exclude<RouteLimit, false>): Exclude<RouteLimit, false> {
  if (!saysReplace(rateLimit)) return rateLimit
  const { replace, ...options } = rateLimit
  if (replace === undefined || typeof replace === 'boolean') return options
  throw invalid(TypeError, 'INVALID_OPTION', 'replace', 'true or false', replace)
}

/**
 * Tells once of routes that seem to misspell `rateLimit`, and of those that admit more than the limits they
 * replace. So does the registration itself, if it is within another.
 */
export function warnOfRoutes(
  routes: readonly Route[],
  inner: Inner | undefined,
  warnings: Warnings,
): void {
  const misspelt = routes.flatMap(({ name, config, options }) => [
    ...Object.keys(config)
      .filter(isNearMiss)
      .map((key) => `${shown(name)} (config.${shown(key)})`),
    ...Object.keys(options)
      .filter((key) => key === RIGHT || isNearMiss(key))
      .map((key) => `${shown(name)} (${shown(key)} outside of config)`),
  ])
  if (misspelt.length > 0) {
    warnings.warnOnce(
      'RATETHROTTLE_UNKNOWN_ROUTE_CONFIG',
      `config.${RIGHT} is what gives a route limits of its own; these have something like it: ${list(misspelt)}`,
    )
  }
  const looser = routes
    .filter(({ rateLimit, replaced }) => !isMeant(rateLimit) && isLooser(rateLimit, replaced))
    .map(({ name }) => shown(name))
  if (inner !== undefined && isLooserInside(inner)) {
    looser.unshift(`the registration in ${shown(inner.prefix || 'an instance without a prefix')}`)
  }
  if (looser.length === 0) return
  warnings.warnOnce(
    'RATETHROTTLE_LOOSER_ROUTE',
    `a route's config.${RIGHT} replaces the plugin's limits, an inner registration those around it, and these admit more ` +
      `than what they replace: ${list(looser)}. ` +
      "If that is meant, say so with { limits, replace: true }; for a limit beside the plugin's use a hook, app.rateThrottle(limits)",
  )
}

function isMeant(rateLimit: RouteLimit | undefined): boolean {
  return saysReplace(rateLimit) && rateLimit.replace === true
}

/** Registrations in one instance all hold, so the strictest counts. */
function isLooserInside({ options, replaced }: Inner): boolean {
  return options.length > 0 && options.every((one) => isLooser(one, replaced))
}

/** Whether a name is meant to be `rateLimit`: another spelling of it, another form, or a slip of the keyboard. */
export function isNearMiss(name: string): boolean {
  if (name === RIGHT) return false
  const word = name.toLowerCase().replace(/[^a-z]/g, '')
  if (WORDS.has(word)) return true
  const right = RIGHT.toLowerCase()
  // Other words begin otherwise, such as dateLimit.
  return word.startsWith('r') && Math.abs(word.length - right.length) <= 1 && isOneSlip(word, right)
}

/** Whether two words differ by one letter that was added, left out, changed or swapped with the next. */
function isOneSlip(one: string, other: string): boolean {
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
  const named = different.slice(0, MOST_NAMED).join(', ')
  const more = different.length - MOST_NAMED
  return more > 0 ? `${named} and ${more} more` : named
}

/** For a log: routes and properties have the names that programmers give them. */
function shown(name: string): string {
  return name.slice(0, MAX_SHOWN).replace(/[^\x20-\x7e]/g, '?')
}
