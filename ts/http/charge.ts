import type { LimitCounter } from '../counting.ts'
import { type Decision, deniedFor } from '../decision.ts'
import { andThen, type MaybePromise, toPromise, withTimeout } from '../limiter.ts'
import { resolveOptions } from '../options.ts'
import { withCode } from '../validate.ts'
import { type Caller, Refused } from '../wait-queue/line.ts'
import type { HttpAdapter } from './adapter.ts'
import type { ChargeOwner, ChargeRecord, Exchange } from './charge-record.ts'
import { ClientResolver } from './client.ts'
import { settleOnResponseEnd } from './counted-requests.ts'
import { Events, type Warnings } from './events.ts'
import { type AnyHttpOptions, type ResolvedHttpOptions, resolveHttpOptions } from './options.ts'
import type { RequestPermits } from './permits.ts'
import { type Charged, ProvisionalCharges } from './provisional-charge.ts'
import type { RequestCounts } from './request-counts.ts'
import {
  type Counting,
  type LimitsSource,
  openLimits,
  type RequestLimits,
} from './request-limits.ts'
import { type DenialTemplate, denialTemplate } from './response.ts'

/** What the parts of one limiter share. */
export interface LimiterContext {
  readonly options: ResolvedHttpOptions
  readonly adapter: HttpAdapter
  readonly client: ClientResolver
  readonly events: Events
  readonly owner: ChargeOwner
  readonly template: DenialTemplate
  /** Whether requests without a key are expected: option `missingKey` says so, or there is no key function. */
  readonly expectsMissingKeys: boolean
  readonly source: LimitsSource
  /** For option `concurrent`. */
  readonly permits: RequestPermits | undefined
  readonly waiting: WaitingRequests
  /** For option `countWhen`. */
  readonly provisional: ProvisionalCharges | undefined
  /** For option `insight`. */
  readonly counts: RequestCounts | undefined
}

/** What limiters count with, by the options that they were made of. */
const SOURCES = new WeakMap<AnyHttpOptions, LimitsSource>()

/** What the limiter of these options counts with: for programs that ask it without a request. */
export function sourceOf(given: AnyHttpOptions): LimitsSource | undefined {
  return SOURCES.get(given)
}

/**
 * Reads the options, opens the counters, and makes what the parts of a limiter share.
 *
 * @param name of the counters in the store, if the options give none
 * @param place what an insight calls a limiter without a name
 */
export function openContext(
  given: AnyHttpOptions,
  adapter: HttpAdapter,
  warnings: Warnings,
  name: string,
  place: string,
): LimiterContext {
  const options = resolveHttpOptions(given)
  const { scope, headers, dryRun, status, message, lasting } = options
  const { source, permits } = openCounters(options, warnings, name, place)
  SOURCES.set(given, source)
  return {
    options,
    adapter,
    client: new ClientResolver(adapter, options.trust, warnings),
    events: new Events(options, warnings),
    owner: {
      id: lasting?.owner ?? scope ?? Symbol('ratethrottle.limiter'),
      isShown: headers !== false && !dryRun,
      isDryRun: dryRun,
    },
    template: denialTemplate(status, message),
    expectsMissingKeys: given.key === undefined || given.missingKey !== undefined,
    source,
    permits,
    waiting: new WaitingRequests(),
    provisional: provisionalCharges(options, source.counter),
    counts: openCounts(options, source.counter, adapter),
  }
}

/** The counters of the limits, and the permits where there are any: what opens those is loaded on demand. */
function openCounters(
  options: ResolvedHttpOptions,
  warnings: Warnings,
  name: string,
  place: string,
): { readonly source: LimitsSource; readonly permits: RequestPermits | undefined } {
  const open = (): LimitsSource => openLimits(options, warnings, name, place)
  if (options.concurrent === undefined) return { source: open(), permits: undefined }
  const loaded = require('./permits.js') as typeof import('./permits.ts')
  return loaded.openWithPermits(options, options.concurrent, name, place, open)
}

/** Loaded on demand, as most programs have no insight. */
function openCounts(
  { insight, lasting }: ResolvedHttpOptions,
  row: LimitCounter | undefined,
  adapter: HttpAdapter,
): RequestCounts | undefined {
  if (insight === undefined || row === undefined) return undefined
  const loaded = require('./request-counts.js') as typeof import('./request-counts.ts')
  return new loaded.RequestCounts(insight, row, adapter, lasting?.route)
}

/** Whether a charge is one call of the limiter, which {@link charge} is not needed for. */
export function isPlainCharge({ options, source, permits }: LimiterContext): boolean {
  const { cost, countWhen, slowDown } = options
  const isFixed = source.fixed !== undefined && typeof cost !== 'function'
  return isFixed && countWhen === undefined && slowDown === undefined && permits === undefined
}

/**
 * Charges a request, whatever the options: limits, then cost, then the charge, which may be delayed (`slowDown`)
 * or provisional (`countWhen`), and goes with a permit (`concurrent`).
 *
 * @returns `undefined` for a request that its limits function exempts
 */
export function charge(
  context: LimiterContext,
  exchange: Exchange,
  key: string,
): MaybePromise<ChargeRecord | undefined> {
  const { source, permits } = context
  return andThen(source.of(exchange.request), (limits) => {
    if (limits === undefined) return undefined
    if (permits === undefined) return chargeLimits(context, exchange, limits, key)
    const charging = (): MaybePromise<ChargeRecord> => chargeLimits(context, exchange, limits, key)
    return permits.charge(context, exchange, limits, key, charging)
  })
}

function chargeLimits(
  context: LimiterContext,
  exchange: Exchange,
  limits: RequestLimits,
  key: string,
): MaybePromise<ChargeRecord> {
  const { owner, options } = context
  const { request, previous } = exchange
  return andThen(costOf(options, request), (cost) =>
    andThen(chargeCost(context, exchange, limits, key, cost), (charged) => {
      return { owner, limits, key, cost, ...charged, previous }
    }),
  )
}

/**
 * The decision about the key if a request came now.
 *
 * @throws TypeError with the code LIMITS_DEPEND_ON_REQUEST where the limits come from a function
 */
export function peek({ source, permits }: LimiterContext, key: string): MaybePromise<Decision> {
  const { fixed } = source
  if (fixed === undefined) {
    const message = 'limits that depend on the request have no common counters'
    throw withCode(new TypeError(message), 'LIMITS_DEPEND_ON_REQUEST')
  }
  return andThen(fixed.limiter.peek(key), (decision) =>
    permits === undefined || !decision.allowed ? decision : permits.peek(key, decision),
  )
}

function costOf(
  { cost, keyTimeoutMs }: ResolvedHttpOptions,
  request: object,
): MaybePromise<number | undefined> {
  if (typeof cost !== 'function') return cost
  const found = toPromise(cost(request))
  return found instanceof Promise ? withTimeout(found, keyTimeoutMs, 'the cost function') : found
}

function chargeCost(
  context: LimiterContext,
  exchange: Exchange,
  limits: RequestLimits,
  key: string,
  cost: number | undefined,
): MaybePromise<Charged & Pick<ChargeRecord, 'hasWaited'>> {
  const { adapter, provisional, waiting } = context
  const { countWhen, slowDown, dryRun } = context.options
  if (countWhen === undefined && (slowDown === undefined || dryRun)) {
    const decided = limits.limiter.check(key, cost)
    return andThen(decided, (decision) => ({ decision, settle: undefined, hasWaited: false }))
  }
  const client = waiting.clientOf(adapter, exchange.response)
  if (provisional !== undefined && countWhen !== undefined) {
    const charged = dryRun
      ? provisional.chargeAtOnce(limits, key, cost)
      : provisional.charge(limits, key, cost, client)
    return andThen(charged, ({ decision, settle }) => {
      if (settle !== undefined) settleOnResponseEnd(context, settle, countWhen, exchange)
      return { decision, settle, hasWaited: client.hasWaited }
    })
  }
  const decided = chargeWithDelay(limits.limiter, key, cost, slowDown ?? 0, client)
  return andThen(decided, (decision) => {
    return { decision, settle: undefined, hasWaited: client.hasWaited }
  })
}

/**
 * Delays a request that would be denied, first come first served, for `maxDelayMs` at most. It is denied at once
 * if its place in the queue would take longer, or the queue is full.
 */
function chargeWithDelay(
  limiter: Counting,
  key: string,
  cost: number | undefined,
  maxDelayMs: number,
  client: Caller,
): MaybePromise<Decision> {
  return andThen(limiter.delay(key, cost ?? 1, maxDelayMs, client), (outcome) => {
    if (!(outcome instanceof Refused)) return outcome
    const { decision, reason } = outcome
    // The limits alone deny it: an offence, if `blockFor` is set.
    const isOffence = reason === 'late' && decision.retryAfterMs > maxDelayMs
    if (isOffence) return limiter.check(key, cost)
    if (reason !== 'gone') limiter.noteDenial?.(key, decision)
    return decision.allowed ? deniedFor(decision, 1) : decision
  })
}

/** For option `countWhen`. */
function provisionalCharges(
  { countWhen, limiter, outcomeTimeoutMs: maxWaitMs }: ResolvedHttpOptions,
  counter: LimitCounter | undefined,
): ProvisionalCharges | undefined {
  if (countWhen === undefined) return undefined
  // Which concerns shared counters alone, and is refused without them.
  const ofQueue = { ...limiter, onMismatch: undefined }
  const { clock, maxWaitersPerKey, maxWaiters } = resolveOptions(ofQueue)
  const now = (): number => clock?.now() ?? performance.now()
  return new ProvisionalCharges({ maxWaitersPerKey, maxWaiters, counter, now, maxWaitMs })
}

/** The client of a request that may have to wait. */
export interface WaitingClient extends Caller {
  /** Whether it got a place in a queue. */
  hasWaited: boolean
}

/**
 * The requests of a limiter that wait: delayed, or for the outcome of others.
 *
 * A server that shuts down waits for its requests, so they must not wait for their turn: released, each is
 * answered with the denial it waits on.
 */
class WaitingRequests {
  readonly #leave = new Set<() => void>()
  #isReleased = false

  /** The client of a response, for a wait queue. Once released, it counts as gone. */
  clientOf(adapter: HttpAdapter, response: object): WaitingClient {
    const client: WaitingClient = {
      hasWaited: false,
      get isGone() {
        return adapter.isFinished(response)
      },
      watch: (gone) => {
        client.hasWaited = true
        const stop = adapter.onEnd(response, gone)
        this.#leave.add(gone)
        if (this.#isReleased) queueMicrotask(gone)
        return () => {
          this.#leave.delete(gone)
          stop()
        }
      },
    }
    return client
  }

  /** Ends all waits, also those of later requests. */
  release(): void {
    this.#isReleased = true
    for (const leave of [...this.#leave]) leave()
  }
}
