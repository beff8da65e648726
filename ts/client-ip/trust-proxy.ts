import { mustBe, ownOptions, printable } from '../validate.ts'
import { AddressRanges, readList } from './cidr.ts'
import { forwarded, forwardedFor } from './forwarded.ts'
import { hopAddress, MAX_HOPS } from './hop.ts'
import { canonical, socketAddress } from './ip.ts'
import { coverInternet } from './range.ts'

/**
 * In place of the proxies: everybody is believed. Whoever can reach the server then chooses the address that
 * he is counted under, and is not limited at all. Only for a server that nobody but its proxies can reach, and
 * whose proxies cannot be named.
 */
export const TRUST_EVERYBODY = 'everybody-even-if-forged'

/** Which proxies are believed, which header they write, and how many of them there are. */
export interface TrustOptions {
  /**
   * Addresses, CIDR ranges, `'loopback'`, `'linklocal'`, `'uniquelocal'`, and `'unix'` for a proxy that
   * connects through a Unix-domain socket; or {@link TRUST_EVERYBODY}.
   */
  readonly proxies: string | readonly string[]
  /**
   * The header that counts; every other is ignored. `'forwarded'` is read as RFC 7239 says, any other as one
   * address or a comma-separated list. Default: `'x-forwarded-for'`.
   */
  readonly header?: string | undefined
  /** Proxies in a row that are believed at most, from 1 to 64, counted from the server. Default: 64. */
  readonly hops?: number | undefined
}

/** The proxies alone, or {@link TrustOptions}, or {@link TRUST_EVERYBODY}. */
export type TrustInput = string | readonly string[] | TrustOptions | typeof TRUST_EVERYBODY

/** Headers as `node:http` gives them: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Who is believed. */
interface Proxies {
  has(canonicalAddress: string): boolean
}

/** Finds a request's client behind the proxies that are believed. Made by {@link readTrust}. */
export class Trust {
  /** Whether the other end of a Unix-domain socket is believed. */
  readonly trustsUnix: boolean
  readonly #proxies: Proxies
  readonly #header: string
  readonly #hops: number

  /** Everything checked, the header's name in lower case. */
  constructor(proxies: Proxies, trustsUnix: boolean, header: string, hops: number) {
    this.#proxies = proxies
    this.trustsUnix = trustsUnix
    this.#header = header
    this.#hops = hops
  }

  /**
   * The address of a request's client: of the nearest hop, seen from the server, that is no believed proxy.
   *
   * Each entry of the header is believed only if who reported it is: the rightmost if the socket's peer is a
   * proxy, the next if the rightmost is, and so on. Where an entry is no address, the proxy that reported it
   * stands in for the client. So the answer is the peer or a valid entry, never text from the header.
   *
   * @param peer `socket.remoteAddress`; undefined for a Unix-domain socket. Not to be asked about a socket
   * that is gone
   * @returns canonical, not masked; undefined if there is none
   */
  resolve(peer: string | undefined, headers: RequestHeaders): string | undefined {
    if (peer === undefined) return this.trustsUnix ? this.#walk(undefined, headers) : undefined
    const address = socketAddress(peer)
    return this.#proxies.has(address) ? this.#walk(address, headers) : address
  }

  #walk(reporter: string | undefined, headers: RequestHeaders): string | undefined {
    const text = fieldOf(headers, this.#header)
    if (text === undefined) return reporter
    const chain = this.#header === 'forwarded' ? forwarded(text) : forwardedFor(text)
    if (this.#proxies === EVERYBODY) return leftmost(chain, reporter, this.#hops)
    return this.#nearest(chain, reporter)
  }

  /** The first hop that is no believed proxy; what it says about who is behind it does not count. */
  #nearest(chain: Iterable<string | undefined>, reporter: string | undefined): string | undefined {
    let client = reporter
    let hops = this.#hops
    for (const hop of chain) {
      if (hop === undefined) return client
      client = hop
      hops--
      if (hops === 0 || !this.#proxies.has(hop)) return client
    }
    return client
  }
}

const EVERYBODY: Proxies = { has: () => true }

/** The last of at most `hops` entries from the right that is an address. */
function leftmost(
  chain: Iterable<string | undefined>,
  reporter: string | undefined,
  hops: number,
): string | undefined {
  let client = reporter
  let left = hops
  for (const hop of chain) {
    client = hop ?? client
    left--
    if (left === 0) return client
  }
  return client
}

/** The value of a header; several lines are one list, of which the last 64 hold the last 64 hops. */
function fieldOf(headers: RequestHeaders, name: string): string | undefined {
  // Own, so that neither a polluted prototype nor a header called `constructor` is anybody's word.
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.slice(-MAX_HOPS).join(', ') : undefined
}

/**
 * The client in a chain that a framework resolved by its own proxy setting.
 *
 * @param chain the socket's peer, then the hops outward as far as the framework believes them, with ports or
 * brackets as they came; at most 64 are looked at
 * @returns the last address before the first entry that is none, canonical; undefined if the peer is none
 */
export function clientOf(chain: readonly string[]): string | undefined {
  // The peer's zone is the kernel's word.
  let client = canonical(chain[0] ?? '')
  for (let i = 1; i < Math.min(chain.length, MAX_HOPS) && client !== undefined; i++) {
    const hop = hopAddress(chain[i] ?? '')
    if (hop === undefined) return client
    client = hop
  }
  return client
}

const DEFAULT_HEADER = 'x-forwarded-for'
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]{1,64}$/
const ACCEPTED =
  'the proxies to believe (such as "loopback" or ["10.0.0.0/8"]) or { proxies, header, hops }'
const ADVICE = `Name your proxies; to believe everybody all the same, pass TRUST_EVERYBODY ("${TRUST_EVERYBODY}")`

/**
 * Checks which proxies are to be believed.
 *
 * @param value a {@link TrustInput}
 * @param name the argument, for the messages
 * @throws TypeError for `true`, a number or anything else of a wrong type; RangeError for an address, range,
 * header or number of hops that is none, and for proxies that together are the whole IPv4 or IPv6 Internet
 */
export function readTrust(value: unknown, name: string): Trust {
  if (typeof value === 'string' || Array.isArray(value)) return makeTrust(value, name, {})
  if (value === true) throw everybody(name, value)
  if (typeof value === 'number') throw hopsAlone(name, value)
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(mustBe(name, ACCEPTED, value))
  }
  const options = ownOptions(value as Partial<TrustOptions>, ['proxies', 'header', 'hops'])
  return makeTrust(options.proxies, `${name}.proxies`, options, name)
}

function makeTrust(
  proxies: unknown,
  proxiesName: string,
  { header, hops }: Partial<TrustOptions>,
  name = proxiesName,
): Trust {
  const headerName = header === undefined ? DEFAULT_HEADER : readHeader(header, `${name}.header`)
  const most = hops === undefined ? MAX_HOPS : readHops(hops, `${name}.hops`)
  if (proxies === TRUST_EVERYBODY) return new Trust(EVERYBODY, true, headerName, most)
  const list = readProxies(proxies, proxiesName)
  const ranges = new AddressRanges(list, proxiesName, ['unix'])
  if (coverInternet(ranges.ranges)) throw everybody(proxiesName, list.join(', '))
  return new Trust(ranges, list.includes('unix'), headerName, most)
}

function readProxies(value: unknown, name: string): readonly string[] {
  if (value === true) throw everybody(name, value)
  const list = readList(value, name)
  if (list.includes('*')) throw everybody(name, list.join(', '))
  return list
}

function readHeader(value: unknown, name: string): string {
  const accepted = 'the name of a header, such as "x-forwarded-for" or "forwarded"'
  if (typeof value !== 'string') throw new TypeError(mustBe(name, accepted, value))
  if (!HEADER_NAME.test(value)) throw new RangeError(mustBe(name, accepted, value))
  return value.toLowerCase()
}

function readHops(value: unknown, name: string): number {
  const accepted = `a whole number from 1 to ${MAX_HOPS}`
  if (typeof value !== 'number') throw new TypeError(mustBe(name, accepted, value))
  if (!Number.isInteger(value) || value < 1 || value > MAX_HOPS) {
    throw new RangeError(mustBe(name, accepted, value))
  }
  return value
}

function everybody(name: string, value: unknown): Error {
  const message = `${name} must not be everybody, as ${printable(value)} is: each client would choose its own address. ${ADVICE}`
  return value === true ? new TypeError(message) : new RangeError(message)
}

/** A number of hops says nothing about who they are: whoever reaches the server itself would be one of them. */
function hopsAlone(name: string, value: number): Error {
  const advice = `{ proxies: "loopback", hops: ${printable(value)} }`
  return new TypeError(
    `${mustBe(name, ACCEPTED, value)}: a count alone believes whoever connects. Pass { proxies, hops }, such as ${advice}`,
  )
}
