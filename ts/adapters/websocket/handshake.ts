import type { IncomingMessage } from 'node:http'
import { ConcurrencyExceeded, RequestRefused } from '../../errors.ts'
import type { HttpAdapter } from '../../http/adapter.ts'
import type { LimiterContext } from '../../http/charge.ts'
import { ClientResolver, resolveKey } from '../../http/client.ts'
import { judge, type Verdict } from '../../http/counted-requests.ts'
import { Events, type Warnings } from '../../http/events.ts'
import { HttpLimiter } from '../../http/http-limiter.ts'
import type { AnyHttpOptions } from '../../http/options.ts'
import { type Refusal, withoutStack } from '../../http/response.ts'
import { type HttpShield, openShield, orClose, withoutShield } from '../../http/shield.ts'
import { andThen, type MaybePromise } from '../../limiter.ts'
import { openPermits } from '../../permits/open.ts'
import { type Permit, PermitRefused, type Permits } from '../../permits/types.ts'
import { HANDSHAKE, type HandshakeResponse } from './handshake-response.ts'
import { knownKey, type ReadSocketOptions } from './options.ts'

/** Why a connection is refused. */
export type ConnectRefusal = Refusal | ConcurrencyExceeded

/** A connection that may go on. Who was given it calls `leave` when the connection has closed. */
export class Admission {
  /** What the client is counted by; `undefined` for one that is exempt from all limits. */
  readonly key: string | undefined
  readonly #permit: Permit | undefined

  constructor(key: string | undefined, permit?: Permit) {
    this.key = key
    this.#permit = permit
  }

  /** Gives the permit back. Calling it again does nothing. */
  leave(): void {
    this.#permit?.release()
  }
}

/** Decides about connections: shield, then permits and limits, both or neither. */
export class Handshake {
  readonly events: Events
  readonly isDryRun: boolean
  readonly limiter: HttpLimiter | undefined
  readonly #shield: HttpShield | undefined
  readonly #permits: Permits | undefined
  readonly #hasQueue: boolean
  readonly #keys = new WeakMap<object, string>()
  /** The part of a limiter's context that says who a client is, and whether it counts. */
  readonly #who: Pick<LimiterContext, 'options' | 'adapter' | 'client' | 'events'> &
    Pick<LimiterContext, 'expectsMissingKeys'>

  constructor(read: ReadSocketOptions, warnings: Warnings, place: string) {
    const adapter = HANDSHAKE as HttpAdapter<never, never> as HttpAdapter
    const { resolved: options, http } = read
    this.events = new Events(options, warnings)
    this.isDryRun = options.dryRun
    this.#who = {
      options,
      adapter,
      client: new ClientResolver(adapter, options.trust, warnings),
      events: this.events,
      expectsMissingKeys: http.key === undefined || http.missingKey !== undefined,
    }
    this.#shield = openShield(http, adapter, warnings)
    const { limiter, permits } = orClose(this.#shield, () => ({
      limiter: this.#openLimiter(read, adapter, warnings, place),
      permits: read.concurrent && openPermits(read.concurrent, read.permits),
    }))
    this.limiter = limiter
    this.#permits = permits
    this.#hasQueue = read.concurrent?.queue !== undefined && !this.isDryRun
  }

  #openLimiter(
    { connections: limits, http }: ReadSocketOptions,
    adapter: HttpAdapter,
    warnings: Warnings,
    place: string,
  ): HttpLimiter | undefined {
    if (limits === undefined) return undefined
    // Exemptions are judged here, and keys found, for permits and messages as well.
    const { allow: _a, deny: _d, skip: _s, key: _k, ...rest } = withoutShield(http)
    const own = { ...rest, limits, key: knownKey(this.#keys) } as AnyHttpOptions
    return new HttpLimiter(own, adapter, warnings, place, 'connections')
  }

  /** Never throws and never rejects: a failure inside refuses the connection. */
  decide(
    request: IncomingMessage,
    response: HandshakeResponse,
  ): MaybePromise<Admission | ConnectRefusal> {
    const failed = (error: unknown) => this.#failed(request, response, error)
    try {
      const decided = andThen(this.#askShield(request, response), (refusal) =>
        refusal === undefined ? this.#judge(request, response) : refusal,
      )
      return decided instanceof Promise ? decided.catch(failed) : decided
    } catch (error) {
      return failed(error)
    }
  }

  #askShield(
    request: IncomingMessage,
    response: HandshakeResponse,
  ): MaybePromise<Refusal | undefined> {
    const shield = this.#shield
    if (shield === undefined) return undefined
    return andThen(shield.decide(request, response), (refusal) => {
      if (refusal === undefined) return undefined
      shield.count(refusal, request, this.limiter)
      shield.prepare(refusal, request, response)
      return refusal
    })
  }

  #judge(
    request: IncomingMessage,
    response: HandshakeResponse,
  ): MaybePromise<Admission | ConnectRefusal> {
    const who = this.#who as LimiterContext
    who.client.warnOfStrayHeader(request)
    return andThen(judge(who, request), (verdict: Verdict) => {
      if (verdict === 'limit') {
        return andThen(resolveKey(who, request), (key) => this.#enter(request, response, key))
      }
      this.limiter?.counts?.withoutDecision(request, verdict, this.isDryRun)
      if (verdict === 'exempt') return new Admission(undefined)
      this.events.denied(request, undefined, undefined, this.isDryRun)
      return this.isDryRun ? new Admission(undefined) : new RequestRefused('ADDRESS_DENIED')
    })
  }

  #enter(
    request: IncomingMessage,
    response: HandshakeResponse,
    key: string,
  ): MaybePromise<Admission | ConnectRefusal> {
    if (this.#permits === undefined) return this.#charge(request, response, new Admission(key))
    // A client that leaves while it waits for a permit gets none.
    const waiting = this.#hasQueue ? new AbortController() : undefined
    const stop = waiting && response.onEnd(() => waiting.abort(GONE))
    // A dry run holds no connection back.
    const entered = this.isDryRun
      ? this.#permits.take(key)
      : this.#permits.enter(key, waiting?.signal)
    return andThen(entered, (permit) => {
      stop?.()
      if (!(permit instanceof PermitRefused)) {
        return this.#charge(request, response, new Admission(key, permit))
      }
      const { reason, limit } = permit
      const refusal = withoutStack(() => new ConcurrencyExceeded(reason, limit))
      this.events.denied(request, key, refusal.decision, this.isDryRun)
      if (this.isDryRun) return this.#charge(request, response, new Admission(key))
      this.limiter?.counts?.count(request, 'denied')
      return refusal
    })
  }

  #charge(
    request: IncomingMessage,
    response: HandshakeResponse,
    admission: Admission,
  ): MaybePromise<Admission | ConnectRefusal> {
    if (this.limiter === undefined) return admission
    this.#keys.set(request, admission.key as string)
    return andThen(this.limiter.decide(request, response), (refusal) => {
      if (refusal === undefined) return admission
      admission.leave()
      return refusal
    })
  }

  #failed(
    request: IncomingMessage,
    response: HandshakeResponse,
    error: unknown,
  ): Admission | ConnectRefusal {
    if (error === GONE || response.isFinished) return new RequestRefused('KEY_MISSING')
    if (error instanceof RequestRefused) return this.isDryRun ? new Admission(undefined) : error
    this.events.failed(request, error)
    if (this.isDryRun) return new Admission(undefined)
    return new RequestRefused('RATE_LIMITER_FAILED', { cause: error })
  }

  async ready(): Promise<Awaited<ReturnType<Permits['ready']>>> {
    const states = await Promise.all([this.limiter?.ready(), this.#permits?.ready()])
    const away = states.find((state) => state?.available === false)
    return away ?? { available: true, reason: undefined }
  }

  close(): void {
    this.limiter?.close()
    void this.#permits?.close()
    this.#shield?.close()
  }
}

/** Why a wait for a permit ended: the client left. */
const GONE = new Error('the client has left')
