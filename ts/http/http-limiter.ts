import type { Decision } from '../decision.ts'
import { closedError, RateLimitExceeded, RequestRefused } from '../errors.ts'
import { type Limiter, readiness, type StoreStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'
import { isRedis } from '../storage-url.ts'
import type { HttpAdapter } from './adapter.ts'
import { Charging, type LimitsSource } from './charge.ts'
import {
  attachDecision,
  type ChargeRecord,
  type Exchange,
  findCharge,
  RequestDecision,
  rollback,
} from './charge-record.ts'
import { Client } from './client-ip.ts'
import { Caller } from './client-key.ts'
import type { Controls } from './controls.ts'
import { Events } from './events.ts'
import { Filter, filters, type Verdict } from './exemptions.ts'
import type { Key } from './key-functions.ts'
import { openCounters } from './open-limiters.ts'
import type { HttpOptions } from './options.ts'
import { limiterAsked, limiterClosed, limiterMade } from './per-request.ts'
import { type ReadOptions, readHttpOptions } from './resolve-options.ts'
import { type Outcome as Refusal, Reply } from './response.ts'
import type { Warnings } from './warning.ts'

/**
 * One or several limits on the requests that somebody guards with it. No framework in it.
 *
 * Answers at once when the counters are in this process and no function of the user's is asynchronous.
 */
export class HttpLimiter<Request extends object, Response extends object> implements Controls {
  readonly #options: ReadOptions<Request, Response>
  readonly #owner: symbol | string
  readonly #client: Client<Request, Response>
  readonly #caller: Caller<Request>
  readonly #filter: Filter<Request, Response> | undefined
  /** Asked where a client that has gone could be served. It can't where the address alone is its key. */
  readonly #isGone: ((request: Request) => boolean) | undefined
  readonly #source: LimitsSource<Request>
  readonly #charging: Charging<Request, Response>
  readonly #events: Events<Request>
  readonly #reply: Reply<Request, Response>
  readonly #framework: HttpAdapter<Request, Response>
  /** Whether the counters are elsewhere, so that only closing this ends a connection. */
  readonly holdsConnection: boolean
  #isAsked = false
  /** Until whatever has made this lets others run. */
  #isFresh = true
  #isClosed = false
  /** Decisions that wait for the store, for functions of the user's, or in a queue. */
  #underWay = 0

  /**
   * @param identity tells the counters of this guard from those of others in one store
   * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
   */
  constructor(
    options: HttpOptions<Request, Response>,
    framework: HttpAdapter<Request, Response>,
    warnings: Warnings,
    identity: string,
  ) {
    const read = readHttpOptions(options)
    const events = new Events<Request>(read.hooks, warnings)
    const report = (request: Request, error: unknown): void => events.failed(request, error)
    const client = new Client(framework, read.trust, warnings)
    const filter = { ...read, timeoutMs: read.keyTimeoutMs }
    this.#options = read
    this.#owner = read.scope ?? Symbol('ratethrottle.guard')
    this.#client = client
    this.#events = events
    const isMeant = options.key === undefined || options.missingKey !== undefined
    this.#caller = new Caller(read, client, report, isMeant ? undefined : () => events.keyMissing())
    this.#filter = filters(filter) ? new Filter(filter, framework, client, report) : undefined
    const isNamedAnyway =
      this.#filter === undefined && options.key === undefined && read.missingKey === 'deny'
    this.#isGone = isNamedAnyway ? undefined : framework.isGone
    this.#reply = new Reply(read, framework)
    this.#source = openCounters(read, warnings, identity)
    this.#charging = new Charging(this.#owner, this.#source, read, framework, report)
    this.#framework = framework
    this.holdsConnection = isRedis(read.storage)
    limiterMade()
    void Promise.resolve().then(() => {
      this.#isFresh = false
    })
  }

  /**
   * Decides about a request, charges it, and sets the headers of its response.
   *
   * Never throws and never rejects: what fails inside refuses the request.
   */
  decide(request: Request, response: Response): MaybePromise<Refusal> {
    try {
      const before = RequestDecision.lastOf(request)
      const exchange = { request, response, before }
      // By whichever key it asked: a guard counts a request once. Those of a scope may ask by several.
      const known =
        before === undefined || typeof this.#owner === 'string'
          ? undefined
          : findCharge(this.#owner, before)
      const refusal = known === undefined ? this.#decide(exchange) : this.#repeat(exchange, known)
      return refusal instanceof Promise ? this.#concludeLater(request, refusal) : refusal
    } catch (error) {
      return this.#failed(request, error)
    }
  }

  /**
   * Sees to a refused request: answers it if the options say how, else has it handed on, once either way. A
   * handler of the user's that fails has not answered; why it failed is told to the operator, not to the client.
   *
   * @param hand to whoever answers errors, or answers
   * @returns when that is done
   */
  refuse(
    refusal: NonNullable<Refusal>,
    { request, response }: Pick<Exchange<Request, Response>, 'request' | 'response'>,
    hand: () => void,
  ): MaybePromise<void> {
    const goOn = (isAnswered: boolean): void => {
      if (!isAnswered) hand()
    }
    const failed = (thrown: unknown): void => {
      // A handler that throws the error it was given says that it does not want to answer.
      if (!(thrown instanceof RateLimitExceeded)) this.#events.failed(request, thrown)
      if (this.#framework.isFinished(response)) this.#framework.cut(response)
      else hand()
    }
    let answered: MaybePromise<boolean> = false
    try {
      answered = this.#reply.answer(refusal, request, response)
    } catch (error) {
      return failed(error)
    }
    return answered instanceof Promise ? answered.then(goOn, failed) : goOn(answered)
  }

  /** A header that every limited response has, if any: a response without it was made without the others. */
  get mark(): string | undefined {
    return this.#reply.mark
  }

  /** The headers of a request's response once more, for one that was made without them. */
  headersOf(request: Request, refusal: Refusal): MaybePromise<Record<string, string>> {
    return this.#reply.headersOf(RequestDecision.lastOf(request), refusal, request)
  }

  reset(key: Key): MaybePromise<void> {
    const named = this.#caller.named(key)
    return 'limiter' in this.#source ? this.#source.limiter.reset(named) : this.#source.reset(named)
  }

  peek(key: Key): MaybePromise<Decision> {
    return this.#tier().peek(this.#caller.named(key))
  }

  async ready(): Promise<StoreStatus> {
    return 'limiter' in this.#source ? readiness(this.#source.limiter) : this.#source.ready()
  }

  /** Answers the requests that wait, with the denial they wait on: the server shuts down. */
  release(): void {
    this.#charging.release()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    limiterClosed()
    this.release()
    if (this.#underWay === 0) this.#closeCounters()
  }

  /** A decision that takes time. Counters that are closed meanwhile stay open until it is there. */
  #concludeLater(request: Request, refusal: Promise<Refusal>): Promise<Refusal> {
    this.#underWay++
    const done = (): void => {
      this.#underWay--
      if (this.#isClosed && this.#underWay === 0) this.#closeCounters()
    }
    return refusal.then(
      (found) => {
        done()
        return found
      },
      (error: unknown) => {
        done()
        return this.#failed(request, error)
      },
    )
  }

  #closeCounters(): void {
    if ('limiter' in this.#source) {
      void this.#source.limiter.close()
      void this.#source.held.close()
    } else this.#source.close()
  }

  /** The counters, where all requests have the same. */
  #tier(): Limiter {
    if ('limiter' in this.#source) return this.#source.limiter
    const message = 'limits that depend on the request have no common counters'
    throw Object.assign(new TypeError(message), { code: 'LIMITS_DEPEND_ON_REQUEST' })
  }

  #decide(exchange: Exchange<Request, Response>): MaybePromise<Refusal> {
    const { request } = exchange
    if (!this.#isAsked) {
      this.#isAsked = true
      limiterAsked(this.#framework.incoming(request), this.#isFresh)
    }
    if (this.#isClosed) throw closedError('the limiter is closed')
    if (this.#isGone?.(request) === true) throw new RequestRefused('KEY_MISSING')
    this.#client.warnOfStrayHeader(request)
    if (this.#filter === undefined) return this.#identify(exchange)
    const verdict = this.#filter.judge(request)
    return andThen(verdict, (found) => this.#follow(found, exchange))
  }

  #follow(verdict: Verdict, exchange: Exchange<Request, Response>): MaybePromise<Refusal> {
    if (verdict === 'limit') return this.#identify(exchange)
    if (verdict === 'pass') return undefined
    this.#events.denied(exchange.request, undefined, undefined, this.#options.dryRun)
    return this.#options.dryRun ? undefined : new RequestRefused('ADDRESS_DENIED')
  }

  #identify(exchange: Exchange<Request, Response>): MaybePromise<Refusal> {
    const key = this.#caller.of(exchange.request)
    return key instanceof Promise
      ? key.then((found) => this.#charge(exchange, found))
      : this.#charge(exchange, key)
  }

  #charge(exchange: Exchange<Request, Response>, key: string): MaybePromise<Refusal> {
    if (exchange.before !== undefined && typeof this.#owner === 'string') {
      const known = findCharge(this.#owner, exchange.before, key)
      if (known !== undefined) return this.#repeat(exchange, known)
    }
    const passage = this.#charging.charge(exchange, key)
    return passage instanceof Promise
      ? passage.then((found) => this.#conclude(exchange, found))
      : this.#conclude(exchange, passage)
  }

  /** As before, but that a denial which was only reported is one now. */
  #repeat(exchange: Exchange<Request, Response>, known: ChargeRecord): MaybePromise<Refusal> {
    if (known.decision.allowed || this.#options.dryRun) return undefined
    if (!known.isDry) return this.#reply.deny(known, exchange)
    this.#events.denied(exchange.request, known.key, known.decision, false)
    return andThen(rollback(exchange.before), () => this.#reply.deny(known, exchange))
  }

  #conclude(
    exchange: Exchange<Request, Response>,
    passage: ChargeRecord | undefined,
  ): MaybePromise<Refusal> {
    if (passage === undefined) return undefined
    const { request, response } = exchange
    const { key, decision } = passage
    const { dryRun } = this.#options
    attachDecision(request, passage)
    if (decision.allowed) {
      this.#events.admitted(request, key, decision, dryRun)
      const shown = this.#reply.show(passage, response)
      return shown instanceof Promise ? shown.then(() => undefined) : undefined
    }
    this.#events.denied(request, key, decision, dryRun)
    return dryRun ? undefined : this.#refuse(exchange, passage)
  }

  #refuse(exchange: Exchange<Request, Response>, passage: ChargeRecord): MaybePromise<Refusal> {
    const { before } = passage
    const shown =
      before === undefined
        ? this.#reply.show(passage, exchange.response)
        : andThen(rollback(before), () => this.#reply.show(passage, exchange.response))
    if (shown instanceof Promise) return shown.then(() => this.#reply.deny(passage, exchange))
    return this.#reply.deny(passage, exchange)
  }

  /** A client is told nothing of what went wrong, and is not served. In a dry run it is. */
  #failed(request: Request, error: unknown): Refusal {
    if (this.#options.dryRun) {
      this.#events.failed(request, error)
      return undefined
    }
    if (error instanceof RequestRefused) return error
    this.#events.failed(request, error)
    return new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
  }
}
