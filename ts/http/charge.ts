import { type Decision, deniedFor } from '../decision.ts'
import { andThen, type Limiter, type MaybePromise, toPromise, withTimeout } from '../limiter.ts'
import { readCaps } from '../options.ts'
import { type Caller, Refused } from '../wait-queue/line.ts'
import type { HttpAdapter, LimiterContext } from './adapter.ts'
import type { ChargeRecord, Exchange } from './charge-record.ts'
import { ClientResolver } from './client.ts'
import { settleOnResponseEnd } from './count-when.ts'
import { Events, type Warnings } from './events.ts'
import type { HttpOptions } from './options.ts'
import { type Charged, ProvisionalCharges } from './provisional-charge.ts'
import { type LimitsSource, openLimits, type RequestLimits } from './request-limits.ts'
import { type ResolvedHttpOptions, resolveHttpOptions } from './resolve-options.ts'
import { denialTemplate } from './response.ts'

/** What it takes to charge the requests of a limiter. */
export interface ChargeContext<Request extends object, Response extends object>
  extends LimiterContext<Request, Response> {
  readonly source: LimitsSource<Request>
  readonly waiting: WaitingRequests<Response>
  /** For option `countWhen`. */
  readonly provisional: ProvisionalCharges | undefined
}

/**
 * Reads the options, opens the counters, and makes what the parts of a limiter share.
 *
 * @param name of the counters in the store, if the options give none
 */
export function openContext<Request extends object, Response extends object>(
  given: HttpOptions<Request, Response>,
  adapter: HttpAdapter<Request, Response>,
  warnings: Warnings,
  name: string,
): ChargeContext<Request, Response> {
  const options = resolveHttpOptions(given)
  const { scope, headers, dryRun, status, message } = options
  return {
    options,
    adapter,
    client: new ClientResolver(adapter, options.trust, warnings),
    events: new Events<Request>(options.hooks, warnings),
    owner: {
      id: scope ?? Symbol('ratethrottle.limiter'),
      isShown: headers !== false && !dryRun,
      isDryRun: dryRun,
    },
    template: denialTemplate(status, message),
    expectsMissingKeys: given.key === undefined || given.missingKey !== undefined,
    source: openLimits(options, warnings, name),
    waiting: new WaitingRequests(adapter),
    provisional: provisionalCharges(options),
  }
}

/** Whether a charge is one call of the limiter, which {@link charge} is not needed for. */
export function isPlainCharge<Request extends object, Response extends object>({
  options,
  source,
}: ChargeContext<Request, Response>): boolean {
  const { cost, counts, slowDownMs } = options
  const isFixed = source.fixed !== undefined && typeof cost !== 'function'
  return isFixed && counts === undefined && slowDownMs === undefined
}

/**
 * Charges a request, whatever the options: limits, then cost, then the charge, which may be delayed (`slowDown`)
 * or provisional (`countWhen`).
 *
 * @returns `undefined` for a request that its limits function exempts
 */
export function charge<Request extends object, Response extends object>(
  context: ChargeContext<Request, Response>,
  exchange: Exchange<Request, Response>,
  key: string,
): MaybePromise<ChargeRecord | undefined> {
  const { request, previous } = exchange
  return andThen(context.source.of(request), (limits) => {
    if (limits === undefined) return undefined
    return andThen(costOf(context, request), (cost) =>
      andThen(chargeCost(context, exchange, limits, key, cost), ({ decision, charge }) => {
        const { owner } = context
        return { owner, limits, key, cost, decision, provisional: charge, previous }
      }),
    )
  })
}

function costOf<Request extends object, Response extends object>(
  { options }: ChargeContext<Request, Response>,
  request: Request,
): MaybePromise<number | undefined> {
  const { cost, keyTimeoutMs } = options
  if (typeof cost !== 'function') return cost
  const found = toPromise(cost(request))
  return found instanceof Promise ? withTimeout(found, keyTimeoutMs, 'the cost function') : found
}

function chargeCost<Request extends object, Response extends object>(
  context: ChargeContext<Request, Response>,
  exchange: Exchange<Request, Response>,
  limits: RequestLimits,
  key: string,
  cost: number | undefined,
): MaybePromise<Charged> {
  const { options, provisional, waiting } = context
  const { counts, slowDownMs, dryRun } = options
  if (provisional === undefined || counts === undefined) {
    const decided =
      slowDownMs === undefined || dryRun
        ? limits.limiter.check(key, cost)
        : chargeWithDelay(
            limits.limiter,
            key,
            cost,
            slowDownMs,
            waiting.clientOf(exchange.response),
          )
    return andThen(decided, (decision) => ({ decision, charge: undefined }))
  }
  const charged = dryRun
    ? provisional.chargeAtOnce(limits, key, cost)
    : provisional.charge(limits, key, cost, waiting.clientOf(exchange.response))
  return andThen(charged, (found) => {
    if (found.charge !== undefined) settleOnResponseEnd(context, found.charge, counts, exchange)
    return found
  })
}

/**
 * Delays a request that would be denied, first come first served, for `maxDelayMs` at most. It is denied at once
 * if its place in the queue would take longer, or the queue is full.
 */
function chargeWithDelay(
  limiter: Limiter,
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
    return decision.allowed ? deniedFor(decision, 1) : decision
  })
}

/** For option `countWhen`. */
function provisionalCharges<Request, Response>({
  counts,
  limiter,
  outcomeTimeoutMs,
}: ResolvedHttpOptions<Request, Response>): ProvisionalCharges | undefined {
  if (counts === undefined) return undefined
  const { clock } = limiter
  const now = (): number => clock?.now() ?? performance.now()
  return new ProvisionalCharges({ ...readCaps(limiter), now, maxWaitMs: outcomeTimeoutMs })
}

/**
 * The requests of a limiter that wait: delayed, or for the outcome of others.
 *
 * A server that shuts down waits for its requests, so they must not wait for their turn: released, each is
 * answered with the denial it waits on.
 */
class WaitingRequests<Response> {
  readonly #adapter: HttpAdapter<never, Response>
  readonly #leave = new Set<() => void>()
  #isReleased = false

  constructor(adapter: HttpAdapter<never, Response>) {
    this.#adapter = adapter
  }

  /** The client of a response, for a wait queue. Once released, it counts as gone. */
  clientOf(response: Response): Caller {
    const adapter = this.#adapter
    return {
      get isGone() {
        return adapter.isFinished(response)
      },
      watch: (gone) => {
        const stop = adapter.onEnd(response, gone)
        this.#leave.add(gone)
        if (this.#isReleased) queueMicrotask(gone)
        return () => {
          this.#leave.delete(gone)
          stop()
        }
      },
    }
  }

  /** Ends all waits, also those of later requests. */
  release(): void {
    this.#isReleased = true
    for (const leave of [...this.#leave]) leave()
  }
}
