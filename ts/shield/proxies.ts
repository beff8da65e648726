import type { AddressRanges } from '../client-ip/cidr.ts'
import type { Trust } from '../client-ip/trust-proxy.ts'

/** How many proxies that have forwarded requests are remembered. No service has as many. */
const MAX_SEEN = 4_096

/**
 * The addresses that are no clients but proxies: their connections carry the requests of many, and must never be
 * closed for what one of those did.
 */
export class Proxies {
  readonly #trusts = new Set<Trust>()
  readonly #spared = new Set<AddressRanges>()
  readonly #seen = new Set<string>()
  #last: string | undefined

  /** From now on the connections of these addresses are spared as a proxy's are. */
  spare(ranges: AddressRanges): void {
    this.#spared.add(ranges)
  }

  /** From now on those that this setting trusts are proxies. */
  trust(trust: Trust): void {
    this.#trusts.add(trust)
  }

  /** A trusted peer has forwarded a request, or may. */
  saw(peer: string): void {
    if (peer === this.#last) return
    this.#last = peer
    if (this.#seen.size < MAX_SEEN) this.#seen.add(peer)
  }

  /** Whether the address is spared: it may be that of a proxy. If there are more than can be remembered, any may be. */
  has(address: string): boolean {
    if (this.#seen.has(address) || this.#seen.size >= MAX_SEEN) return true
    for (const trust of this.#trusts) if (trust.isProxy(address)) return true
    for (const ranges of this.#spared) if (ranges.has(address)) return true
    return false
  }
}
