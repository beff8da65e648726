import type { Decision } from './decision.ts'
import type { Limit } from './limit/limit.ts'
import type { Limiter } from './limiter.ts'
import type { LimiterStats } from './limiter-stats.ts'
import { invalid } from './validate.ts'

/*
 * What limiters, adapters and shields know of an insight, which stands above them: where to count what they do.
 * `ts/insight/` implements it. Without an insight none of this is called.
 */

/** What became of a request, as its adapter saw it. */
export const ROUTE_OUTCOMES = [
  /** It passed its limit. */
  'admitted',
  /** Its limit refused it. */
  'denied',
  /** A dry run would have refused it. */
  'dry',
  /** It was not counted: option `skip`, `allow` or `methods`. */
  'exempt',
  /** It was refused without being counted: option `deny`, or no key. */
  'refused',
  /** Nothing could be decided about it: a function of the user's or a store failed. */
  'failed',
  /** The shield refused it. */
  'shield',
  /** It waited for its turn (`slowDown`), and passed or not. */
  'waited',
] as const

/** What became of a request. */
export type RouteOutcome = (typeof ROUTE_OUTCOMES)[number]

/** Counts the requests of one route under one limiter. */
export interface RouteCounter {
  count(outcome: RouteOutcome): void
}

/** What an insight is told about a limiter. */
export interface CountedLimiter {
  /** From configuration: its name, its scope, or the route it belongs to. Never what a client sent. */
  readonly name: string
  /** `undefined` where they depend on the request. */
  readonly limits: readonly Limit[] | undefined
  readonly algorithm: string
  readonly tier: 'memory' | 'shared' | 'redis' | 'store'
  /** Whether its denials are only reported. */
  readonly dryRun?: boolean
}

/** Which insight of this thread the addon counts in, and in which of its rows. */
export interface CounterPlace {
  readonly insight: number
  readonly row: number
  readonly dry: boolean
}

/** A limiter that counts, and what it says about itself at once. */
export interface Served extends Limiter {
  stats?(): Pick<LimiterStats, 'evictions'> | object
  liveKeys?(): number
  /** Of a store: whether it answers, and if not, why. Takes no round trip. */
  storeStatus?(): { readonly available: boolean; readonly reason: string | undefined }
}

/** Where one limiter counts. */
export interface LimitCounter {
  /** For a limiter in the addon, which counts its own decisions, refunds and keys there. */
  readonly place: CounterPlace
  /** For one elsewhere: a decision that charged a key, or denied it. */
  decided(key: string, decision: Decision): void
  /** For one elsewhere: units were given back. */
  refunded(): void
  /** In every tier: a caller waited for its turn, in milliseconds. */
  waited(ms: number): void
  /** In every tier: a caller begins to wait (1), or does so no more (-1). */
  queued?(change: 1 | -1): void
  /** In every tier: a caller left while it waited. One that is refused is a denial, see {@link decided}. */
  gaveUp(key: string): void
  /** How long the store took to answer, in milliseconds. */
  storeTook(ms: number): void
  /** Something decided in place of the store. */
  withoutStore(): void
  /** The route is a pattern of the program's, such as `GET /users/:id`; never the path of a request. */
  route(route: string): RouteCounter
  /** What can be asked and changed by key, for the command line and the page. Held weakly. */
  serves(limiter: Served): void
  /** The limiter was closed. What it has counted stays. */
  close(): void
}

/** A shield, as far as an insight reads and changes it. */
export interface CountedShield {
  readonly mode: string
  state(): object
  top(count: number): readonly object[]
  block(ip: string, ms: number): boolean
  pardon(ip: string): boolean
}

/** What option `insight` takes, of limiters and adapters: what `insight()` of ratethrottle/insight returns. */
export interface InsightInput {
  /** For this package's own use: where a limiter counts. */
  counter(about: CountedLimiter): LimitCounter
  /** For this package's own use: a shield that stands before limits, which it names. */
  shielded(name: string, shield: CountedShield): void
  /** For this package's own use: limiters come from a file, and this is its state. */
  configured?(state: () => ConfigStatus): void
}

/** Whether the last change of a configuration file could be taken, and when the one in use was. */
export interface ConfigStatus {
  readonly stale: boolean
  readonly loadedAt: number
}

const COUNTERS = new WeakMap<object, LimitCounter>()

/** A limiter counts there by itself: an adapter that is given it needs no other row. */
export function keepCounter(limiter: object, counter: LimitCounter | undefined): void {
  if (counter !== undefined) COUNTERS.set(limiter, counter)
}

/** Where a limiter counts by itself. */
export function counterOf(limiter: object): LimitCounter | undefined {
  return COUNTERS.get(limiter)
}

/** Reads option `insight`. What it takes is known by what it does: adapters pass on one that leads to their own row. */
export function readInsight(value: unknown, name: string): InsightInput {
  const isObject = typeof value === 'object' && value !== null
  const { counter, shielded } = isObject ? (value as Partial<InsightInput>) : {}
  if (typeof counter === 'function' && typeof shielded === 'function') return value as InsightInput
  const accepted = 'what insight() of ratethrottle/insight returns'
  throw invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
}
