import type { InsightInput, LimitCounter, RouteCounter, RouteOutcome } from '../counting.ts'
import { RequestRefused } from '../errors.ts'
import type { HttpAdapter } from './adapter.ts'
import { type ChargeRecord, newestCharge } from './charge-record.ts'

/*
 * Option `insight`: what becomes of the requests of one limiter, by route. The decisions themselves are counted where
 * they are made, in the same row of the insight.
 */

/** Routes of one limiter that have rows of their own, for all limiters of an insight in this process together. */
const MAX_ROUTES = 255
/** Requests of further routes. */
const OTHER = 'other'
/** Requests of which the framework knows no route when they are decided about. */
const UNKNOWN = '*'

/** The routes that have a row, with their limiter's: the next version of a limiter goes on in the same rows. */
const ROWS = new WeakMap<InsightInput, Set<string>>()

/** What names the route of a request. */
type Routed = Pick<HttpAdapter, 'route'>

/** Counts the requests of one limiter. Where it decides at once, counting one allocates nothing. */
export class RequestCounts {
  readonly #counter: LimitCounter
  readonly #adapter: Routed
  readonly #written: ((request: object) => string | undefined) | undefined
  readonly #rows: Set<string>
  readonly #routes = new Map<string, RouteCounter>()
  #other: RouteCounter | undefined

  /** @param written the route of a configuration file that names the request, if one does */
  constructor(
    insight: InsightInput,
    counter: LimitCounter,
    adapter: Routed,
    written?: (request: object) => string | undefined,
  ) {
    this.#counter = counter
    this.#adapter = adapter
    this.#written = written
    this.#rows = ROWS.get(insight) ?? new Set()
    ROWS.set(insight, this.#rows)
  }

  count(request: object, outcome: RouteOutcome): void {
    const route = this.#routeOf(request) ?? UNKNOWN
    const counter = this.#routes.get(route) ?? this.#open(route)
    counter.count(outcome)
  }

  /** A route of the file is better than where the limiter stands, such as `/api/*`, or a route for all there is. */
  #routeOf(request: object): string | undefined {
    const known = this.#adapter.route(request)
    if (this.#written === undefined || (known !== undefined && !isPlace(known))) return known
    return this.#written(request) ?? known
  }

  /**
   * A decision about a request stands: it passes, or is refused.
   *
   * @param previous the newest charge of the request before
   */
  decided(request: object, previous: ChargeRecord | undefined): void {
    const record = newestCharge(request)
    // A request that comes past again was counted the first time.
    if (record !== undefined && record !== previous) this.count(request, outcomeOf(record))
  }

  /**
   * A request was not charged.
   *
   * @param why it is exempt, option `deny` forbids it, or the error that kept it from being decided about
   */
  withoutDecision(request: object, why: unknown, isDryRun: boolean): void {
    const isRefusal =
      why === 'forbid' || (why instanceof RequestRefused && why.code !== 'RATE_LIMITER_FAILED')
    if (why === 'exempt') this.count(request, 'exempt')
    else if (isRefusal) this.count(request, isDryRun ? 'dry' : 'refused')
    else this.count(request, 'failed')
  }

  /** Whatever an adapter takes for a route: the rows are bounded, and so is what is kept here. */
  #open(route: string): RouteCounter {
    const row = `${this.#counter.place.row} ${route}`
    if (this.#rows.size >= MAX_ROUTES && !this.#rows.has(row)) {
      this.#other ??= this.#counter.route(OTHER)
      return this.#other
    }
    this.#rows.add(row)
    const opened = this.#counter.route(route)
    this.#routes.set(route, opened)
    return opened
  }
}

/** Whether a route is all that lies under a path. */
function isPlace(route: string): boolean {
  return route.endsWith('*')
}

function outcomeOf({ hasWaited, decision, owner }: ChargeRecord): RouteOutcome {
  if (hasWaited) return 'waited'
  if (decision.allowed) return 'admitted'
  return owner.isDryRun ? 'dry' : 'denied'
}
