import type { Trust } from '../client-ip/trust-proxy.ts'
import type { HttpAdapter } from './adapter.ts'
import type { WarningCode, Warnings } from './events.ts'
import type { Facts } from './key-functions.ts'

/** Stands for the address of clients on a Unix-domain socket, which have none. */
export const UNIX = 'unix'
/** The first requests are all looked at for a stray header, later one in so many. */
const FIRST_LOOKS = 64
const LATER_LOOKS = 256
const PROXY_WARNINGS: readonly WarningCode[] = [
  'RATETHROTTLE_PERMISSIVE_PROXY',
  'RATETHROTTLE_HOP_COUNT',
]

/** Which client sent a request: what sockets and headers say, as far as they can be trusted. */
export class Client<Request, Response> implements Facts<Request> {
  readonly #framework: HttpAdapter<Request, Response>
  readonly #trust: Trust | undefined
  readonly #warnings: Warnings
  #isWarned = false
  #seen = 0

  /** @param trust in place of the framework's own proxy setting */
  constructor(
    framework: HttpAdapter<Request, Response>,
    trust: Trust | undefined,
    warnings: Warnings,
  ) {
    this.#framework = framework
    this.#trust = trust
    this.#warnings = warnings
  }

  client(request: Request, trust: Trust | undefined = this.#trust): string | undefined {
    if (trust === undefined) return this.#framework.client(request)
    const peer = this.#framework.peer(request)
    if (peer === undefined) return undefined
    const address = peer === UNIX ? undefined : peer
    return trust.resolve(address, this.#framework.headers(request)) ?? UNIX
  }

  header(request: Request, name: string): string | undefined {
    const headers = this.#framework.headers(request)
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined
    return Array.isArray(value) ? value.join(', ') : value
  }

  /**
   * Warns once of an `X-Forwarded-For` that is not used: either a proxy is missing from the settings, and all its
   * clients are counted as one, or a client has forged the header, which is harmless.
   *
   * Looks at a sample: having node:http make an object of the headers costs more than deciding.
   */
  warnOfStrayHeader(request: Request): void {
    if (this.#isWarned) return
    this.#seen++
    if (this.#seen > FIRST_LOOKS && this.#seen % LATER_LOOKS !== 0) return
    if (this.#framework.headers(request)['x-forwarded-for'] === undefined) return
    this.#isWarned = true
    if (this.#trust !== undefined || this.#framework.trustsProxy(request)) return
    // The proxy setting itself may have been warned about.
    if (PROXY_WARNINGS.some((code) => this.#warnings.has(code))) return
    this.#warnings.warnOnce(
      'RATETHROTTLE_STRAY_FORWARDED_FOR',
      'a request has an X-Forwarded-For header, which is ignored because no proxy is trusted. Behind a proxy all ' +
        'clients now share one budget. Name the proxy: trust: "10.0.0.0/8", or the server\'s own setting',
    )
  }
}

/** Whether a framework's proxy setting trusts a peer with this address. */
export type TrustFn = (address: string, hop: number) => boolean

/** Addresses for documentation (RFC 5737, RFC 3849), one of each family: no proxy has them. */
const UNLISTED = ['203.0.113.1', '2001:db8::1']
const CONSEQUENCE =
  'Forwarded addresses are therefore ignored, and clients behind a proxy share one budget. ' +
  'List the proxies by address or range, in the server\'s setting or as trust: ["10.0.0.0/8"]'

/**
 * Whether a framework's proxy setting lists the proxies it trusts.
 *
 * One that trusts every peer, or a number of hops whichever they are, lets each client that reaches the server
 * choose its own address. Such a setting is warned about and not followed.
 */
export function isExplicitTrust(setting: unknown, trusts: TrustFn, warnings: Warnings): boolean {
  if (typeof setting === 'number') {
    warnings.warnOnce(
      'RATETHROTTLE_HOP_COUNT',
      'the proxy setting is a number of hops: a client that reaches the server directly counts as one of them, ' +
        `so it could spoof X-Forwarded-For. ${CONSEQUENCE}`,
    )
    return false
  }
  if (!UNLISTED.some((address) => trusts(address, 0))) return true
  warnings.warnOnce(
    'RATETHROTTLE_PERMISSIVE_PROXY',
    `the server trusts every proxy, so clients could spoof X-Forwarded-For. ${CONSEQUENCE}`,
  )
  return false
}
