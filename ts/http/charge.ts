import type { Decision } from '../decision.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen, toPromise, withTimeout } from '../maybe-promise.ts'
import { readCaps } from '../options.ts'
import type { HttpAdapter } from './adapter.ts'
import { type BudgetOwner, ChargeRecord, type Exchange } from './charge-record.ts'
import { settleAtEnd } from './count-when.ts'
import { ParkedRequests } from './parked.ts'
import {
  type ProvisionalCharge,
  ProvisionalCharges,
  type ProvisionalOptions,
} from './provisional-charge.ts'
import type { LimitsByRequest, RequestLimits } from './request-limits.ts'
import type { ReadOptions } from './resolve-options.ts'
import { chargeSlowly } from './slow.ts'

/** Where the counters of a request are: always the same, or by a function of the request. */
export type LimitsSource<Request> = RequestLimits | LimitsByRequest<Request>

function holdOptionsOf<Request, Response>({
  limiter,
  outcomeTimeoutMs,
}: ReadOptions<Request, Response>): ProvisionalOptions {
  const { clock } = limiter
  const now = (): number => clock?.now() ?? performance.now()
  return { ...readCaps(limiter), now, maxWaitMs: outcomeTimeoutMs }
}

/** Charges requests: which budget, how many units, and when it counts. */
export class Charging<Request extends object, Response extends object> {
  readonly #owner: BudgetOwner
  readonly #source: LimitsSource<Request>
  readonly #options: ReadOptions<Request, Response>
  readonly #framework: HttpAdapter<Request, Response>
  readonly #report: (request: Request, error: unknown) => void
  readonly #holds: ProvisionalCharges | undefined
  readonly #parked: ParkedRequests<Request, Response>
  readonly #isShown: boolean
  /** Nothing to ask but the tier. */
  readonly #isPlain: boolean

  constructor(
    owner: BudgetOwner,
    source: LimitsSource<Request>,
    options: ReadOptions<Request, Response>,
    framework: HttpAdapter<Request, Response>,
    report: (request: Request, error: unknown) => void,
  ) {
    const { cost, counts, slowDownMs, headers, dryRun } = options
    this.#owner = owner
    this.#source = source
    this.#options = options
    this.#framework = framework
    this.#report = report
    this.#parked = new ParkedRequests(framework)
    this.#isShown = headers !== false && !dryRun
    this.#holds = counts === undefined ? undefined : new ProvisionalCharges(holdOptionsOf(options))
    const isFixed = 'limiter' in source && typeof cost !== 'function'
    this.#isPlain = isFixed && counts === undefined && slowDownMs === undefined
  }

  /** What came of it, or `undefined` for a request that its limits function exempts. */
  charge(
    exchange: Exchange<Request, Response>,
    key: string,
  ): MaybePromise<ChargeRecord | undefined> {
    if (!this.#isPlain) return this.#chargeWithCare(exchange, key)
    const budget = this.#source as RequestLimits
    const cost = this.#options.cost as number | undefined
    const decision = budget.limiter.check(key, cost)
    if (!(decision instanceof Promise)) return this.#passage(exchange, budget, key, cost, decision)
    return decision.then((found) => this.#passage(exchange, budget, key, cost, found))
  }

  /** Answers the requests that wait, with the denial they wait on. */
  release(): void {
    this.#parked.release()
  }

  #chargeWithCare(
    exchange: Exchange<Request, Response>,
    key: string,
  ): MaybePromise<ChargeRecord | undefined> {
    const { request } = exchange
    const budget = 'limiter' in this.#source ? this.#source : this.#source.of(request)
    return andThen(budget, (found) => {
      if (found === undefined) return undefined
      return andThen(this.#costOf(request), (cost) => this.#spend(exchange, found, key, cost))
    })
  }

  #spend(
    exchange: Exchange<Request, Response>,
    budget: RequestLimits,
    key: string,
    cost: number | undefined,
  ): MaybePromise<ChargeRecord> {
    if (this.#holds !== undefined) return this.#hold(this.#holds, exchange, budget, key, cost)
    const decision = this.#ask(exchange, budget, key, cost)
    return andThen(decision, (found) => this.#passage(exchange, budget, key, cost, found))
  }

  #ask(
    { response }: Exchange<Request, Response>,
    { limiter }: RequestLimits,
    key: string,
    cost: number | undefined,
  ): MaybePromise<Decision> {
    const { slowDownMs, dryRun } = this.#options
    if (slowDownMs === undefined || dryRun) return limiter.check(key, cost)
    return chargeSlowly(limiter, { key, cost }, slowDownMs, this.#parked.clientOf(response))
  }

  #hold(
    holds: ProvisionalCharges,
    exchange: Exchange<Request, Response>,
    budget: RequestLimits,
    key: string,
    cost: number | undefined,
  ): MaybePromise<ChargeRecord> {
    const client = this.#parked.clientOf(exchange.response)
    const held = this.#options.dryRun
      ? holds.chargeAtOnce(budget, key, cost)
      : holds.charge(budget, key, cost, client)
    return andThen(held, ({ decision, charge: hold }) => {
      if (hold !== undefined) this.#settleLater(hold, exchange)
      return this.#passage(exchange, budget, key, cost, decision, hold)
    })
  }

  #settleLater(hold: ProvisionalCharge, exchange: Exchange<Request, Response>): void {
    const { counts } = this.#options
    if (counts !== undefined) settleAtEnd(hold, counts, exchange, this.#framework, this.#report)
  }

  #costOf(request: Request): MaybePromise<number | undefined> {
    const { cost, keyTimeoutMs } = this.#options
    if (typeof cost !== 'function') return cost
    const found = toPromise(cost(request))
    return found instanceof Promise ? withTimeout(found, keyTimeoutMs, 'the cost function') : found
  }

  #passage(
    { before }: Exchange<Request, Response>,
    budget: RequestLimits,
    key: string,
    cost: number | undefined,
    decision: Decision,
    hold?: ProvisionalCharge,
  ): ChargeRecord {
    return new ChargeRecord(
      this.#owner,
      budget,
      key,
      cost,
      decision,
      hold,
      this.#isShown,
      this.#options.dryRun,
      before,
    )
  }
}
