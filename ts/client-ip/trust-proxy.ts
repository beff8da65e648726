import { integer, invalid, mustBe, ownOptions, printable, withCode } from '../validate.ts'
import { AddressRanges, coversAllAddresses, readList } from './cidr.ts'
import { forwarded, forwardedFor, hopAddress, MAX_HOPS } from './forwarded.ts'
import { canonical, socketAddress } from './ip.ts'

/**
 * In place of the proxies: the header of any client is accepted. A client that reaches the server itself then
 * chooses the address it is counted under, and is not limited at all. Only for a server that only its proxies
 * can reach, and whose proxies cannot be listed.
 */
export const TRUST_EVERYBODY = 'everybody-even-if-forged'

/** Which proxies are trusted, which header they write, and how many of them there are. */
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
  /** Most proxies in a row that are trusted, from 1 to 64, counted from the server. Default: 64. */
  readonly hops?: number | undefined
}

/** The proxies alone, or {@link TrustOptions}, or {@link TRUST_EVERYBODY}. */
export type TrustInput = string | readonly string[] | TrustOptions | typeof TRUST_EVERYBODY

/** Headers as `node:http` gives them: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Finds a request's client behind trusted proxies. Made by {@link readTrust}. */
export interface Trust {
  /** Whether the other end of a Unix-domain socket is trusted. */
  readonly trustsUnix: boolean
  /** Whether an address, canonical, is that of a trusted proxy. */
  isProxy(address: string): boolean
  /**
   * The address of a request's client: of the nearest hop, seen from the server, that is no trusted proxy.
   *
   * An entry of the header counts only if a trusted proxy reported it: the rightmost if the socket's peer is
   * one, the next if the rightmost is one, and so on. Where an entry is no address, the proxy that reported it
   * stands in for the client. So the result is the peer or a valid entry, never text from the header.
   *
   * @param peer `socket.remoteAddress`; undefined for a Unix-domain socket. The socket must be open
   * @returns canonical, not masked; undefined if there is none
   */
  resolve(peer: string | undefined, headers: RequestHeaders): string | undefined
}

/** @param proxies `undefined` trusts any client */
function newTrust(
  proxies: AddressRanges | undefined,
  trustsUnix: boolean,
  header: string,
  maxHops: number,
): Trust {
  // To the first hop that is no trusted proxy; what that hop reports does not count. Where any client is trusted,
  // to the last of at most `maxHops` entries that is an address.
  const walk = (reporter: string | undefined, headers: RequestHeaders): string | undefined => {
    let client = reporter
    let left = maxHops
    for (const hop of hopsIn(headers, header)) {
      if (hop === undefined && proxies !== undefined) return client
      client = hop ?? client
      left--
      if (left === 0 || (hop !== undefined && proxies?.has(hop) === false)) return client
    }
    return client
  }
  return {
    trustsUnix,
    isProxy: (address) => proxies === undefined || proxies.has(address),
    resolve: (peer, headers) => {
      if (peer === undefined) return trustsUnix ? walk(undefined, headers) : undefined
      const address = socketAddress(peer)
      return proxies?.has(address) === false ? address : walk(address, headers)
    },
  }
}

/** The hops in a header, from the right. Several lines are one list, of which the last 64 hold the last 64 hops. */
function hopsIn(headers: RequestHeaders, name: string): Iterable<string | undefined> {
  // Own, so that neither a polluted prototype nor a header called `constructor` is read as the header.
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  const text = Array.isArray(value) ? value.slice(-MAX_HOPS).join(', ') : value
  if (typeof text !== 'string') return []
  return name === 'forwarded' ? forwarded(text) : forwardedFor(text)
}

/**
 * The client in a chain that a framework resolved by its own proxy setting.
 *
 * @param chain the socket's peer, then the hops outward as far as the framework trusts them, with ports or
 * brackets as they came; at most 64 are looked at
 * @returns the last address before the first entry that is no address, canonical; undefined if the peer is no
 * address
 */
export function clientOf(chain: readonly string[]): string | undefined {
  // The peer may have a zone: it comes from the kernel, not from a client.
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
  'the proxies to trust (such as "loopback" or ["10.0.0.0/8"]) or { proxies, header, hops }'

/**
 * Checks which proxies are to be trusted.
 *
 * @param value a {@link TrustInput}
 * @param name the argument, for the messages
 * @throws TypeError for `true`, a number or anything else of a wrong type; RangeError for an address, range,
 * header or number of hops that is not valid, and for proxies that together are the whole IPv4 or IPv6 Internet
 */
export function readTrust(value: unknown, name: string): Trust {
  if (typeof value === 'string' || Array.isArray(value)) return makeTrust(value, name, {})
  if (value === true) throw trustAllError(name, value)
  if (typeof value === 'number') throw hopCountError(name, value)
  if (typeof value !== 'object' || value === null) {
    throw invalid(TypeError, 'INVALID_OPTION', name, ACCEPTED, value)
  }
  const options = ownOptions(value as Partial<TrustOptions>, ['proxies', 'header', 'hops'])
  return makeTrust(options.proxies, `${name}.proxies`, options, name)
}

function makeTrust(
  proxies: unknown,
  proxiesName: string,
  { header, hops = MAX_HOPS }: Partial<TrustOptions>,
  name = proxiesName,
): Trust {
  const headerName = header === undefined ? DEFAULT_HEADER : readHeader(header, `${name}.header`)
  const maxHops = integer(hops, `${name}.hops`, 1, MAX_HOPS)
  if (proxies === TRUST_EVERYBODY) return newTrust(undefined, true, headerName, maxHops)
  if (proxies === true) throw trustAllError(proxiesName, proxies)
  const list = readList(proxies, proxiesName)
  if (list.includes('*')) throw trustAllError(proxiesName, list.join(', '))
  const ranges = new AddressRanges(list, proxiesName, ['unix'])
  if (coversAllAddresses(ranges.ranges)) throw trustAllError(proxiesName, list.join(', '))
  return newTrust(ranges, list.includes('unix'), headerName, maxHops)
}

function readHeader(value: unknown, name: string): string {
  if (typeof value === 'string' && HEADER_NAME.test(value)) return value.toLowerCase()
  const accepted = 'the name of a header, such as "x-forwarded-for" or "forwarded"'
  throw invalid('string', 'INVALID_OPTION', name, accepted, value)
}

function trustAllError(name: string, value: unknown): Error {
  const message =
    `${name}: ${printable(value)} would accept X-Forwarded-For from any client. List your proxies; to accept ` +
    `it from any client all the same, pass TRUST_EVERYBODY ("${TRUST_EVERYBODY}")`
  const Kind = value === true ? TypeError : RangeError
  return withCode(new Kind(message), 'INVALID_OPTION')
}

/** A number of hops names no proxy: any client that reaches the server itself would be taken for one. */
function hopCountError(name: string, value: number): Error {
  const advice = `a count alone would trust any client that connects. Pass { proxies, hops }, such as { proxies: "loopback", hops: ${printable(value)} }`
  return withCode(new TypeError(`${mustBe(name, ACCEPTED, value)}: ${advice}`), 'INVALID_OPTION')
}
