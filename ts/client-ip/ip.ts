import { isIP, isIPv4 } from 'node:net'
import { mustBe } from '../validate.ts'
import { embeddedIPv4, groupsOf, mask, textOf } from './groups.ts'

/**
 * Longest text that is looked at as an address, in UTF-16 code units. The longest address has 45, the longest
 * zone Linux knows 15.
 */
export const MAX_ADDRESS_LENGTH = 64
const MAPPED = '::ffff:'
const PREFIX = 'a whole number of bits from 32 to 128'

/**
 * The one spelling of an address: two texts are the same client if and only if this says the same of both.
 *
 * IPv4 stays as it is. IPv4-mapped IPv6 (by value, in any spelling) and NAT64's `64:ff9b::/96` turn into IPv4.
 * Other IPv6 is written as RFC 5952 says, without its zone.
 *
 * @param text what may be an address, however long or hostile
 * @returns undefined if it is longer than 64 characters or none that `net.isIP` accepts: so no octal, hex or
 * integer IPv4, no blanks, ports or brackets
 */
export function canonical(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_LENGTH) return undefined
  const family = isIP(text)
  if (family === 0) return undefined
  return family === 4 ? copied(text) : canonicalIPv6(withoutZone(text))
}

/**
 * A copy: V8 cuts pieces of 13 characters or more out of a text by pointing into it, and so an address
 * somebody keeps would keep the whole header it came in. Shorter pieces are copied.
 */
function copied(text: string): string {
  return text.slice(0, 8) + text.slice(8)
}

function canonicalIPv6(text: string): string {
  const groups = groupsOf(text)
  return embeddedIPv4(groups) ?? textOf(groups)
}

function withoutZone(text: string): string {
  const zone = text.indexOf('%')
  return zone === -1 ? text : text.slice(0, zone)
}

/**
 * Canonical form of the address that the kernel gave for a socket, as {@link canonical} would write it.
 *
 * @param remoteAddress `socket.remoteAddress`. It is trusted to be an address: what is none comes back as is
 */
export function socketAddress(remoteAddress: string): string {
  if (!remoteAddress.includes(':')) return remoteAddress
  return mappedByKernel(remoteAddress) ?? canonical(withoutZone(remoteAddress)) ?? remoteAddress
}

/** What every IPv4 client of a dual-stack socket looks like, worth a short cut: `::ffff:1.2.3.4`. */
function mappedByKernel(text: string): string | undefined {
  if (!text.startsWith(MAPPED)) return undefined
  const rest = text.slice(MAPPED.length)
  return isIPv4(rest) ? rest : undefined
}

/**
 * The key under which a client is counted: an IPv4 address itself; of an IPv6 address the network, because
 * one line owns at least 2^64 addresses: `2001:db8:1:2::/64`.
 *
 * @param canonicalAddress what {@link canonical} or {@link socketAddress} returned
 * @param prefix bits that tell one IPv6 client from another, 32 to 128; IPv4 is never masked. Default: 64
 * @throws TypeError or RangeError if the prefix is none
 */
export function addressKey(canonicalAddress: string, prefix = 64): string {
  const bits = readPrefix(prefix, 'prefix')
  if (!canonicalAddress.includes(':')) return canonicalAddress
  return `${textOf(mask(groupsOf(canonicalAddress), bits))}/${bits}`
}

/**
 * Checks a prefix for {@link addressKey}.
 *
 * @param name the argument, for the messages
 * @throws TypeError unless it is a number, RangeError unless it is a whole one from 32 to 128
 */
export function readPrefix(value: unknown, name: string): number {
  if (typeof value !== 'number') throw new TypeError(mustBe(name, PREFIX, value))
  if (!Number.isInteger(value) || value < 32 || value > 128) {
    throw new RangeError(mustBe(name, PREFIX, value))
  }
  return value
}
