import { isIP } from 'node:net'
import { groupsOf } from './groups.ts'
import { canonical } from './ip.ts'

/** Addresses that share their first bits. */
export interface Range {
  readonly family: 'ipv4' | 'ipv6'
  /** A canonical address in the range. The bits behind the prefix do not matter. */
  readonly address: string
  /** How many of the first bits are shared: 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly prefix: number
}

/** Prefixes under which IPv6 carries IPv4 have this many bits. */
const EMBEDDED_BITS = 96
const PREFIX = /^(?:0|[1-9]\d{0,2})$/

/** Names for ranges, as the package proxy-addr defines them for Express and Fastify. */
const NAMED: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', ['127.0.0.1/8', '::1/128']],
  ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
  ['uniquelocal', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
])

/** The names that {@link parseRanges} knows. */
export const RANGE_NAMES: readonly string[] = [...NAMED.keys()]

/**
 * Reads an address, a CIDR range or a name.
 *
 * Bits behind the prefix may be set (`10.1.2.3/8`). Ranges of IPv4-mapped and of NAT64 addresses turn into
 * IPv4 ranges, as the addresses in them do.
 *
 * @returns undefined if it is none of them, or one that {@link canonical} would not read: octal, hex or
 * integer IPv4, blanks, a zone, a netmask in place of a prefix, leading zeros
 */
export function parseRanges(text: string): readonly Range[] | undefined {
  const named = NAMED.get(text)
  if (named !== undefined) return named.flatMap((range) => parseRange(range) ?? [])
  const range = parseRange(text)
  return range === undefined ? undefined : [range]
}

function parseRange(text: string): Range | undefined {
  const slash = text.indexOf('/')
  const address = slash === -1 ? text : text.slice(0, slash)
  const canonicalAddress = canonical(address)
  if (canonicalAddress === undefined || address.includes('%')) return undefined
  const family = canonicalAddress.includes(':') ? 'ipv6' : 'ipv4'
  const bits = family === 'ipv4' ? 32 : 128
  const skipped = family === 'ipv4' && isIP(address) === 6 ? EMBEDDED_BITS : 0
  const prefix = slash === -1 ? bits : parsePrefix(text.slice(slash + 1)) - skipped
  return prefix >= 0 && prefix <= bits ? { family, address: canonicalAddress, prefix } : undefined
}

function parsePrefix(text: string): number {
  return PREFIX.test(text) ? Number(text) : Number.NaN
}

/** First and last addresses of the IPv4 and the IPv6 Internet; the rest is special, and not handed out. */
const INTERNET: Readonly<Record<Range['family'], readonly [string, string]>> = {
  ipv4: ['1.0.0.0', '223.255.255.255'],
  ipv6: ['2000::', '3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
}

/** Whether ranges together hold all of the IPv4 or all of the IPv6 Internet, in one range or in pieces. */
export function coverInternet(ranges: readonly Range[]): boolean {
  return covers(ranges, 'ipv4') || covers(ranges, 'ipv6')
}

function covers(ranges: readonly Range[], family: Range['family']): boolean {
  const [first, last] = INTERNET[family]
  const spans = ranges.filter((range) => range.family === family).map(spanOf)
  spans.sort(([a], [b]) => (a < b ? -1 : 1))
  let next = numberOf(first)
  for (const [start, end] of spans) {
    if (start <= next && end >= next) next = end + 1n
  }
  return next > numberOf(last)
}

function spanOf({ family, address, prefix }: Range): readonly [start: bigint, end: bigint] {
  const free = BigInt((family === 'ipv4' ? 32 : 128) - prefix)
  const start = (numberOf(address) >> free) << free
  return [start, start + (1n << free) - 1n]
}

function numberOf(address: string): bigint {
  if (address.includes(':'))
    return groupsOf(address).reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)
  return address.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}
