import { type AddressRanges, readRanges } from '../client-ip/cidr.ts'
import { readTrust } from '../client-ip/trust-proxy.ts'
import { RequestRefused } from '../errors.ts'
import type { HandOn, HttpAdapter } from '../http/adapter.ts'
import { ClientResolver } from '../http/client.ts'
import type { RequestLimiter } from '../http/config.ts'
import { Events, type Warnings } from '../http/events.ts'
import { discardBody, mustClose } from '../http/node.ts'
import { type AnyHttpOptions, limitsAny } from '../http/options.ts'
import type { RequestCounts } from '../http/request-counts.ts'
import { type Outcome, type Refusal, ShieldRefusal } from '../http/response.ts'
import type { MaybePromise } from '../limiter.ts'
import { openShieldCounts } from './counts.ts'
import type { Guard } from './guard.ts'
import { shield } from './index.ts'
import type { ShieldOptions } from './options.ts'
import { type Judge, RequestAsker } from './requests.ts'
import { settingsOf } from './settings.ts'

/** What adapters need of a shield. */
export type AnyHttpShield = Pick<HttpShield, keyof HttpShield>

/** The shield before the limits of a server. */
export class HttpShield {
  /** Whether it asks about any request. */
  readonly isOn: boolean = true
  readonly #adapter: HttpAdapter
  readonly #client: ClientResolver
  readonly #events: Events
  readonly #requests: RequestAsker
  /** Addresses of the adapter's own options `allow` and `deny`, about which the guard is not asked. */
  readonly #allow: AddressRanges | undefined
  readonly #deny: AddressRanges | undefined
  readonly #isDryRun: boolean
  /** Closes the guard, if it belongs to this server. */
  readonly #closeGuard: () => void
  /** For option `insight`. */
  readonly #counts: (() => RequestCounts) | undefined

  constructor(
    guard: Judge,
    closeGuard: () => void,
    own: AnyHttpOptions,
    adapter: HttpAdapter,
    warnings: Warnings,
  ) {
    const { trust, allow, deny, dryRun, onDeny, onError } = own
    const { settings, proxies } = settingsOf(guard)
    const trusted = trust === undefined ? settings.trust : readTrust(trust, 'trust')
    if (trusted !== undefined) proxies.trust(trusted)
    const hooks = { onDeny, onError: typeof onError === 'function' ? onError : undefined }
    this.#adapter = adapter
    this.#events = new Events(hooks as ConstructorParameters<typeof Events>[0], warnings)
    this.#client = new ClientResolver(adapter, trusted, warnings)
    this.#requests = new RequestAsker(guard, {
      adapter,
      client: this.#client,
      warnings,
      events: this.#events,
    })
    this.#allow = allow === undefined ? undefined : readRanges(allow, 'allow')
    if (this.#allow !== undefined) proxies.spare(this.#allow)
    this.#deny = deny === undefined ? undefined : readRanges(deny, 'deny')
    this.#isDryRun = dryRun === true
    this.#closeGuard = closeGuard
    this.#counts = openShieldCounts(own, guard, adapter)
  }

  /** Decides about a request: `undefined` if it may pass to the limits. Never throws. */
  decide(request: object, response: object): MaybePromise<Outcome> {
    if (this.#allow === undefined && this.#deny === undefined) {
      return this.#requests.decide(request, response)
    }
    const ip = this.#client.client(request)
    if (ip !== undefined && this.#allow?.has(ip)) return undefined
    if (ip !== undefined && this.#deny?.has(ip)) {
      this.#events.denied(request, undefined, undefined, this.#isDryRun)
      return this.#isDryRun ? undefined : new RequestRefused('ADDRESS_DENIED')
    }
    return this.#requests.decide(request, response)
  }

  /**
   * Stands before other middleware.
   *
   * @param next of the framework, for refusals
   * @param pass goes on with a request that may pass
   * @param limiterOf the limiter behind it, in whose row refusals are counted
   */
  stand<Request extends object, Response extends object>(
    request: Request,
    response: Response,
    next: (error?: Error) => void,
    handOn: HandOn<Request, Response>,
    pass: () => void,
    limiterOf: (request: Request) => RequestLimiter | undefined,
  ): void {
    const refuse = (refusal: Refusal): void => {
      if (this.#counts !== undefined) this.count(refusal, request, limiterOf(request))
      this.prepare(refusal, request, response)
      handOn(refusal, request, response, next)
    }
    const outcome = this.decide(request, response)
    if (outcome === undefined) pass()
    else if (!(outcome instanceof Promise)) refuse(outcome)
    else void outcome.then((refusal) => (refusal === undefined ? pass() : refuse(refusal)))
  }

  /**
   * Counts a refusal, for option `insight`: where the limiter behind the shield counts its requests, or in a row of the
   * shield's own if there is none.
   */
  count(
    refusal: Refusal,
    request: object,
    limiter: Pick<RequestLimiter, 'counts'> | undefined,
  ): void {
    const counts = limiter?.counts ?? this.#counts?.()
    counts?.count(request, refusal instanceof ShieldRefusal ? 'shield' : 'refused')
  }

  /** Sets the headers of the answer to a request that is refused. */
  prepare(refusal: Refusal, request: object, response: object): void {
    const adapter = this.#adapter
    if (adapter.isFinished(response)) return
    const headers = this.headersOf(refusal, request)
    for (const [name, value] of Object.entries(headers)) adapter.setHeader(response, name, value)
    const incoming = adapter.incoming(request)
    if (mustClose(incoming)) discardBody(incoming)
  }

  /** The headers of such an answer. */
  headersOf(refusal: Refusal, request: object): Record<string, string> {
    const isShield = refusal instanceof ShieldRefusal
    const wait = isShield ? { 'retry-after': String(refusal.retryAfter) } : {}
    // A server must not have to read a gigabyte to refuse a request.
    const end = mustClose(this.#adapter.incoming(request)) ? { connection: 'close' } : {}
    return { 'cache-control': 'no-store', ...wait, ...end }
  }

  /** Answers the attempts that are held back: the server shuts down. */
  release(): void {
    this.#requests.release()
  }

  close(): void {
    this.release()
    this.#closeGuard()
  }
}

/** Stands where a middleware has nothing but a shield, and that is off. */
const OFF: AnyHttpShield = {
  isOn: false,
  decide: () => undefined,
  stand: (_request, _response, _next, _handOn, pass) => pass(),
  count: () => {},
  prepare: () => {},
  headersOf: () => ({}),
  release: () => {},
  close: () => {},
}

/** @returns `undefined` for a shield that is off, before limits: they cost what they cost without one */
export function openHttpShield(
  given: ShieldOptions<never> | Guard,
  own: AnyHttpOptions,
  adapter: HttpAdapter,
  warnings: Warnings,
): AnyHttpShield | undefined {
  const isOwn = !isGuard(given)
  const guard = isOwn ? shield(given) : given
  settingsOf(guard)
  const close = (): void => {
    if (isOwn) guard.close()
  }
  if (guard.mode !== 'off') return new HttpShield(guard, close, own, adapter, warnings)
  close()
  return limitsAny(own) ? undefined : OFF
}

/** Also one of another copy of this package. */
function isGuard(given: object): given is Guard {
  return typeof (given as Partial<Guard>).decide === 'function'
}
