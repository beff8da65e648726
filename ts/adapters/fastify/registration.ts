import type { FastifyInstance } from 'fastify'
import type { Guards } from './routes.ts'

/** The registrations of each instance of Fastify: two in one both hold. */
const REGISTERED = new WeakMap<object, Guards[]>()
/** Functions that are this plugin's decorator. */
const DECORATORS = new WeakSet<object>()
/** Instances whose requests this plugin has decorated. */
const DECORATED = new WeakSet<object>()

/** Adds a registration; those of the instances around it no longer have all routes to themselves. */
export function register(app: FastifyInstance, guards: Guards): void {
  for (const around of chainOf(app)) {
    for (const one of REGISTERED.get(around) ?? []) if (around !== app) one.share()
  }
  REGISTERED.set(app, [...(REGISTERED.get(app) ?? []), guards])
}

/**
 * The registrations that a route belongs to: those of the nearest instance that has limits for it.
 *
 * @param app the instance that the route was declared in
 * @param hasOwn whether the route has limits of its own, or says that it has none
 */
export function ownersOf(app: object, hasOwn: boolean): readonly Guards[] {
  for (const around of chainOf(app)) {
    const found = REGISTERED.get(around)
    if (found?.some((guards) => hasOwn || guards.hasGlobal)) return found
  }
  return []
}

/** The registrations whose limits hold around an instance: those of one within it take their place. */
export function around(app: object): readonly Guards[] {
  return ownersOf(Object.getPrototypeOf(app), false)
}

/** Those of the instance itself. */
export function inside(app: object): readonly Guards[] {
  return REGISTERED.get(app) ?? []
}

/** Whether it is no instance within another. */
export function isRoot(app: object): boolean {
  return Object.getPrototypeOf(Object.getPrototypeOf(app) ?? {}) === null
}

/** How many registrations there are in a server, and how many there were before. */
const TIMES = new WeakMap<object, number>()

/** Where the counters of a registration are in a store: those of the second beside those of the first. */
export function turnOf({ server }: FastifyInstance): string {
  const times = (TIMES.get(server) ?? 0) + 1
  TIMES.set(server, times)
  return times === 1 ? '' : `${times}: `
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
 * Stops the start where a decorator of another plugin has a name that this one needs: with it, each request
 * would fail or its decision would be lost.
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
  return chainOf(app).some((around) => DECORATED.has(around))
}

/** Fastify takes what every object inherits for a decorator. */
function isPolluted(name: string): boolean {
  return Object.hasOwn(Object.prototype, name)
}

function taken(name: string): TypeError {
  const message = `another plugin has decorated ${name}, which ratethrottle needs: register only one of the two, or each in an instance of its own`
  return Object.assign(new TypeError(message), { code: 'DECORATOR_TAKEN' })
}

/** An instance, and those that it is encapsulated in. */
function chainOf(app: object): object[] {
  const chain: object[] = []
  for (let at: object | null = app; at !== null; at = Object.getPrototypeOf(at)) chain.push(at)
  return chain
}
