import type { FastifyInstance } from 'fastify'
import { withCode } from '../../validate.ts'
import type { RouteLimiters } from './routes.ts'

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
function chainOf(object: object): object[] {
  const chain: object[] = []
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at)) chain.push(at)
  return chain
}

/** The registrations of each instance: two in one instance both apply. */
const REGISTERED = new WeakMap<object, RouteLimiters[]>()
/** Functions that are this plugin's decorator. */
const DECORATORS = new WeakSet<object>()
/** Instances whose requests this plugin has decorated. */
const DECORATED = new WeakSet<object>()
/** How many registrations there are in a server. */
const COUNTS = new WeakMap<object, number>()

/** Adds a registration; those of the instances around it no longer have all routes to themselves. */
export function register(app: FastifyInstance, limiters: RouteLimiters): void {
  for (const outer of chainOf(app).slice(1)) {
    for (const one of REGISTERED.get(outer) ?? []) one.share()
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
 * @param hasOwn whether the route has limits of its own, or says that it has none
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

/** Gives the instance `rateThrottle` and its requests `rateLimit`, unless a registration has done so before. */
export function decorate(
  app: FastifyInstance,
  rateThrottle: FastifyInstance['rateThrottle'],
): void {
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
export function checkDecorators(app: FastifyInstance): void {
  const { rateThrottle } = app as { rateThrottle?: object }
  const isForeign = app.hasDecorator('rateThrottle') && !DECORATORS.has(rateThrottle ?? {})
  if (isForeign && !isPolluted('rateThrottle')) throw taken('app.rateThrottle')
  if (!app.hasRequestDecorator('rateLimit') || isDecorated(app)) return
  if (!isPolluted('rateLimit')) throw taken('request.rateLimit')
}

function isDecorated(app: FastifyInstance): boolean {
  return chainOf(app).some((instance) => DECORATED.has(instance))
}

/** Fastify takes what every object inherits for a decorator. */
function isPolluted(name: string): boolean {
  return Object.hasOwn(Object.prototype, name)
}

function taken(name: string): TypeError {
  const message = `another plugin has decorated ${name}, which ratethrottle needs: register only one of the two, or each in its own instance`
  return withCode(new TypeError(message), 'DECORATOR_TAKEN')
}
