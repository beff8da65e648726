/*
 * The decisions of Express' requests. Each of its requests has a shape of its own, so to add a property to one costs
 * as much as several decisions: `request.rateLimit` is an accessor of the prototype that they have in common, as
 * Express' own `request.ip` is.
 */

const DECISIONS = new WeakMap<object, unknown>()
/** Whether decisions are kept here, by the prototype of requests: each app has one. */
const KEPT = new WeakMap<object, boolean>()

/** What `request.rateLimit` is, and how it is set. */
export const EXPRESS_DECISIONS = {
  decisionOf: (request: object): unknown =>
    isKept(request) ? DECISIONS.get(request) : (request as Limited).rateLimit,
  setDecision: (request: object, decision: object): void => {
    if (isKept(request)) DECISIONS.set(request, decision)
    else (request as Limited).rateLimit = decision
  },
}

interface Limited {
  rateLimit?: unknown
}

function isKept(request: object): boolean {
  const prototype = Object.getPrototypeOf(request) as object
  return KEPT.get(prototype) ?? keep(prototype)
}

/** Not for requests of other frameworks, nor for objects that inherit from a request. */
function keep(prototype: object): boolean {
  const common = Object.hasOwn(prototype, 'app') ? commonOf(prototype) : undefined
  const isOurs = common !== undefined && (OURS.has(common) || define(common))
  KEPT.set(prototype, isOurs)
  return isOurs
}

/** `express.request`: what the requests of all apps inherit from. */
function commonOf(prototype: object): object | undefined {
  for (let at = prototype; ; ) {
    const next = Object.getPrototypeOf(at) as object | null
    if (next === null) return undefined
    if (next === process.getBuiltinModule('node:http').IncomingMessage.prototype) return at
    at = next
  }
}

/** The prototypes that have the accessor. */
const OURS = new WeakSet<object>()

/** Where another package has defined such a property before, requests get one of their own. */
function define(common: object): boolean {
  if (Object.hasOwn(common, 'rateLimit')) return false
  const isDefined = Reflect.defineProperty(common, 'rateLimit', {
    configurable: true,
    enumerable: true,
    get(this: object): unknown {
      // An object that inherits from a request has its decision.
      for (let at: object | null = this; at !== null; at = Object.getPrototypeOf(at)) {
        if (DECISIONS.has(at)) return DECISIONS.get(at)
      }
      return undefined
    },
    set(this: object, value: unknown): void {
      DECISIONS.set(this, value)
    },
  })
  if (isDefined) OURS.add(common)
  return isDefined
}
