import type { Decision } from '../decision.ts'
import { closedError, RequestRefused } from '../errors.ts'
import { andThen, type MaybePromise, type StoreStatus } from '../limiter.ts'
import { isRemote, nextLimiterName } from '../storage-url.ts'
import type { Controls, HttpAdapter } from './adapter.ts'
import { charge, isPlainCharge, type LimiterContext, openContext, peek } from './charge.ts'
import {
  attachDecision,
  type ChargeRecord,
  chargeOf,
  type Exchange,
  findCharge,
  newestCharge,
  rollback,
} from './charge-record.ts'
import { counterKey, resolveKey } from './client.ts'
import { hasExemptions, judge, type Verdict } from './counted-requests.ts'
import { ADMIT, limiterClosed, limiterMade, type Warnings } from './events.ts'
import { POLICY, showHeaders } from './headers.ts'
import type { Key } from './key-functions.ts'
import { LIMIT } from './legacy-headers.ts'
import { isGone } from './node.ts'
import type { AnyHttpOptions } from './options.ts'
import { refuse } from './refuse.ts'
import type { RequestCounts } from './request-counts.ts'
import type { RequestLimits } from './request-limits.ts'
import { deny, headersOf, notOpen, type Outcome, type Refusal } from './response.ts'

/**
 * Limits the requests of a server. It knows no framework.
 * Decides at once when the counters are in this process and no function of the user's is asynchronous.
 */
export class HttpLimiter implements Controls {
  readonly #context: LimiterContext
  readonly #hasExemptions: boolean
  readonly #isPlain: boolean
  /** Whether a request could be counted without the address of its client, who may have left. */
  readonly #countsAbsent: boolean
  /** Whether the counters are elsewhere: then only `close` ends the connection. */
  readonly holdsConnection: boolean
  /** Whether no option answers denials. */
  readonly handsOn: boolean
  /** For option `insight`. */
  readonly counts: RequestCounts | undefined
  /** Until the first request. */
  #noteFirst: ReturnType<typeof limiterMade> | undefined
  #isClosed = false
  /** Decisions that wait for the store, for functions of the user's, or for their turn. */
  pending = 0

  /**
   * @param name of its counters in the store, if the options give none. Default: from the order of making
   * @param place what an insight calls it then
   * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
   */
  constructor(
    given: AnyHttpOptions,
    adapter: HttpAdapter,
    warnings: Warnings,
    name: string = nextLimiterName(),
    place: string = name,
  ) {
    this.#context = openContext(given, adapter, warnings, name, place)
    const { options } = this.#context
    this.counts = this.#context.counts
    this.#isPlain = isPlainCharge(this.#context)
    this.#hasExemptions = hasExemptions(options)
    this.#countsAbsent =
      this.#hasExemptions || given.key !== undefined || options.missingKey !== 'deny'
    this.holdsConnection = isRemote(options.storage)
    this.handsOn = options.handler === undefined && !options.problem
    this.#noteFirst = limiterMade()
  }

  /*
   * One request, from top to bottom. Each step goes on with the next one: at once, or when a promise is settled.
   * Written without closures where nothing is asynchronous, because each would be an allocation per request.
   */

  /**
   * Decides about a request, charges it, and sets the headers of its response.
   *
   * Never throws and never rejects: a failure inside refuses the request.
   */
  decide(request: object, response: object): MaybePromise<Outcome> {
    try {
      const previous = newestCharge(request)
      const outcome = this.#decide({ request, response, previous })
      if (outcome instanceof Promise) return this.#decideLater(request, previous, outcome)
      this.counts?.decided(request, previous)
      return outcome
    } catch (error) {
      return this.#failed(request, error)
    }
  }

  /** 1. Exempt? */
  #decide(exchange: Exchange): MaybePromise<Outcome> {
    const { request, previous } = exchange
    const { client, owner } = this.#context
    // A limiter counts a request once, even if its key has changed. A scope may count it by several keys.
    if (previous !== undefined && typeof owner.id === 'symbol') {
      const known = findCharge(previous, owner.id)
      if (known !== undefined) return this.#repeat(exchange, known)
    }
    this.#checkUse(request)
    client.warnOfStrayHeader(request)
    if (!this.#hasExemptions) return this.#count(exchange)
    return andThen(judge(this.#context, request), (verdict) =>
      verdict === 'limit' ? this.#count(exchange) : this.#withoutCounting(request, verdict),
    )
  }

  /** 2. By which key? */
  #count(exchange: Exchange): MaybePromise<Outcome> {
    const key = resolveKey(this.#context, exchange.request)
    return key instanceof Promise
      ? key.then((found) => this.#charge(exchange, found))
      : this.#charge(exchange, key)
  }

  /** 3. Charge. */
  #charge(exchange: Exchange, key: string): MaybePromise<Outcome> {
    const { previous } = exchange
    const { owner, source, options } = this.#context
    if (previous !== undefined && typeof owner.id === 'string') {
      const known = findCharge(previous, owner.id, key)
      if (known !== undefined) return this.#repeat(exchange, known)
    }
    if (!this.#isPlain) {
      const charged = charge(this.#context, exchange, key)
      return andThen(charged, (record) =>
        record === undefined
          ? this.#withoutCounting(exchange.request, 'exempt')
          : this.#conclude(exchange, record),
      )
    }
    const limits = source.fixed as RequestLimits
    const cost = options.cost as number | undefined
    const decision = limits.limiter.check(key, cost)
    return decision instanceof Promise
      ? decision.then((found) => this.#concludePlain(exchange, limits, key, cost, found))
      : this.#concludePlain(exchange, limits, key, cost, decision)
  }

  #concludePlain(
    exchange: Exchange,
    limits: RequestLimits,
    key: string,
    cost: number | undefined,
    decision: Decision,
  ): MaybePromise<Outcome> {
    const { owner } = this.#context
    return this.#conclude(exchange, chargeOf(owner, exchange, limits, key, cost, decision))
  }

  /** 4. Remember the charge, then set headers or deny. */
  #conclude(exchange: Exchange, record: ChargeRecord): MaybePromise<Outcome> {
    const { request, response, previous } = exchange
    const { key, decision } = record
    const { events, owner, options, adapter } = this.#context
    attachDecision(request, record)
    if (decision.allowed) {
      if (options.onAdmit !== undefined || ADMIT.hasSubscribers) {
        events.admitted(request, key, decision, owner.isDryRun)
      }
      const shown = showHeaders(record, options.headers, response, adapter)
      return shown instanceof Promise ? shown.then(() => undefined) : undefined
    }
    events.denied(request, key, decision, owner.isDryRun)
    if (owner.isDryRun) return undefined
    if (previous === undefined) return this.#deny(exchange, record)
    // Several limits are charged all or none.
    return andThen(rollback(previous), () => this.#deny(exchange, record))
  }

  #deny(exchange: Exchange, record: ChargeRecord): MaybePromise<Outcome> {
    const { options, adapter } = this.#context
    const shown = showHeaders(record, options.headers, exchange.response, adapter)
    return shown instanceof Promise
      ? shown.then(() => deny(this.#context, record, exchange))
      : deny(this.#context, record, exchange)
  }

  /** The same answer as the first time, except that a denial of a dry run is now enforced. */
  #repeat(exchange: Exchange, known: ChargeRecord): MaybePromise<Outcome> {
    const { request, previous } = exchange
    const { events, owner } = this.#context
    if (known.decision.allowed || owner.isDryRun) return undefined
    if (!known.owner.isDryRun) return deny(this.#context, known, exchange)
    events.denied(request, known.key, known.decision, false)
    return andThen(rollback(previous), () => deny(this.#context, known, exchange))
  }

  /** The request is exempt, or option `deny` forbids it. */
  #withoutCounting(request: object, verdict: Exclude<Verdict, 'limit'>): Outcome {
    const { events, owner } = this.#context
    this.counts?.withoutDecision(request, verdict, owner.isDryRun)
    if (verdict === 'exempt') return undefined
    events.denied(request, undefined, undefined, owner.isDryRun)
    return owner.isDryRun ? undefined : new RequestRefused('ADDRESS_DENIED')
  }

  /** A client is told nothing about a failure, and is not served. In a dry run it is. */
  #failed(request: object, error: unknown): Outcome {
    const { events, owner } = this.#context
    const isRefusal = error instanceof RequestRefused && !owner.isDryRun
    this.counts?.withoutDecision(request, error, owner.isDryRun)
    if (!isRefusal) events.failed(request, error)
    if (owner.isDryRun) return undefined
    return isRefusal ? error : new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
  }

  #checkUse(request: object): void {
    const { adapter } = this.#context
    if (this.#noteFirst !== undefined) {
      this.#noteFirst(adapter.incoming(request))
      this.#noteFirst = undefined
    }
    if (this.#isClosed) throw closedError('the limiter is closed')
    if (this.#countsAbsent && isGone(adapter.incoming(request)))
      throw new RequestRefused('KEY_MISSING')
  }

  /** Counters that are closed meanwhile stay open until the decision is made. */
  async #decideLater(
    request: object,
    previous: ChargeRecord | undefined,
    outcome: Promise<Outcome>,
  ): Promise<Outcome> {
    this.pending++
    try {
      const found = notOpen(await outcome)
      this.counts?.decided(request, previous)
      return found
    } catch (error) {
      return this.#failed(request, error)
    } finally {
      this.pending--
      this.#closeIfIdle()
    }
  }

  /** Answers a refused request as the options say, else has it handed on: see {@link refuse}. */
  refuse(
    refusal: Refusal,
    exchange: Pick<Exchange, 'request' | 'response'>,
    handOn: () => void,
  ): MaybePromise<void> {
    return refuse(this.#context, refusal, exchange, handOn)
  }

  /** A header that every limited response has, if any: a response without it was made without its headers. */
  markOf(_request: object): string | undefined {
    const { options, source } = this.#context
    const { headers, dryRun } = options
    if (headers === false || dryRun) return undefined
    // Permits without limits have no figures to show.
    if (source.fixed?.names.length === 0) return headers === 'legacy' ? undefined : POLICY
    return headers === 'draft' ? 'ratelimit' : LIMIT
  }

  /** The headers of a request's response, for one that was made without them. */
  headersOf(request: object, outcome: Outcome): MaybePromise<Record<string, string>> {
    return headersOf(this.#context, newestCharge(request), outcome, request)
  }

  reset(key: Key): MaybePromise<void> {
    const { source, options } = this.#context
    return source.reset(counterKey(key, options.missingKey))
  }

  peek(key: Key): MaybePromise<Decision> {
    return peek(this.#context, counterKey(key, this.#context.options.missingKey))
  }

  async ready(): Promise<StoreStatus> {
    return this.#context.source.ready()
  }

  /** Answers the requests that wait with the denial they wait on: the server shuts down. */
  release(): void {
    this.#context.waiting.release()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    limiterClosed()
    this.release()
    this.#closeIfIdle()
  }

  #closeIfIdle(): void {
    if (this.#isClosed && this.pending === 0) this.#context.source.close()
  }
}
