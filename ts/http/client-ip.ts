import type { Trust } from '../client-ip/trust-proxy.ts'
import type { HttpAdapter } from './adapter.ts'
import type { Facts } from './key-functions.ts'
import type { WarningCode, Warnings } from './warning.ts'

/** Who sent a request: what sockets and headers say, believed as far as they may be. */
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

  /** A proxy that nobody named makes one caller of all its clients. Or somebody forges: that is harmless. */
  warnOfStrayHeader(request: Request): void {
    if (this.#isWarned || !this.#isLookedAt()) return
    if (this.#framework.headers(request)['x-forwarded-for'] === undefined) return
    // Said at most once, and not again where the proxy setting itself has been complained about.
    this.#isWarned = true
    if (this.#trust !== undefined || this.#framework.trustsProxy(request)) return
    if (!PROXY_WARNINGS.some((code) => this.#warnings.has(code)))
      this.#warnings.warnOnce(STRAY, ADVICE)
  }

  /** Not at each request: having node:http make an object of the headers costs more than deciding. */
  #isLookedAt(): boolean {
    this.#seen++
    return this.#seen <= FIRST_LOOKS || this.#seen % LATER_LOOKS === 0
  }
}

/** Which requests are looked at: so many at first, later one of so many. */
const FIRST_LOOKS = 64
const LATER_LOOKS = 256
const STRAY = 'RATETHROTTLE_STRAY_FORWARDED_FOR'
const ADVICE =
  'a request has X-Forwarded-For, which is not believed: no proxy is trusted. Behind a proxy all clients ' +
  'now share one budget. Name the proxy: trust: "10.0.0.0/8", or the server\'s own setting'
const PROXY_WARNINGS: readonly WarningCode[] = [
  'RATETHROTTLE_PERMISSIVE_PROXY',
  'RATETHROTTLE_HOP_COUNT',
]
/** Whoever asks over a Unix-domain socket, which has no address. */
export const UNIX = 'unix'
