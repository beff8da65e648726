import type { BlockList } from 'node:net'
import { invalid } from '../validate.ts'
import { canonical, groupsOf, isIP, MAX_ADDRESS_LENGTH } from './ip.ts'

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

/**
 * Addresses whose answer is remembered, because asking a `BlockList` takes over a microsecond. When that many
 * are remembered, all are forgotten: a client that shows ever new addresses costs time, and no memory.
 */
const MAX_REMEMBERED = 1_024

/**
 * A set of addresses and CIDR ranges, and of the names `'loopback'`, `'linklocal'` and `'uniquelocal'`, which
 * mean what they mean to Express and Fastify.
 *
 * Addresses are matched by value and before masking: a list can hold one address of a /64.
 */
export class AddressRanges {
  /** The ranges, in the order of the list. */
  readonly ranges: readonly Range[]
  // Apart, because a BlockList looks for IPv4 addresses in IPv6 ranges too, as mapped ones: `::/64` would
  // hold all of IPv4.
  readonly #lists = { ipv4: newBlockList(), ipv6: newBlockList() }
  readonly #remembered = new Map<string, boolean>()

  /**
   * @param list addresses, CIDR ranges and names
   * @param name what the list was given as, for the messages. Default: `list`
   * @param others texts that are accepted besides, and that hold no address. Default: none
   * @throws RangeError naming the place in the list, its value and what is accepted
   */
  constructor(list: readonly string[], name = 'list', others: readonly string[] = []) {
    this.ranges = list.flatMap((text, i) => rangesOf(text, `${name}[${i}]`, others))
    for (const { family, address, prefix } of this.ranges) {
      this.#lists[family].addSubnet(address, prefix, family)
    }
  }

  /**
   * Whether an address is in the set. Never throws: what is no address is not in it.
   *
   * @param canonicalAddress what `canonical` or `socketAddress` returned; other spellings may be missed
   */
  has(canonicalAddress: string): boolean {
    return this.#remembered.get(canonicalAddress) ?? this.#ask(canonicalAddress)
  }

  #ask(address: string): boolean {
    if (address.length > MAX_ADDRESS_LENGTH) return false
    const version = isIP(address)
    if (version === 0) return false
    const family = version === 4 ? 'ipv4' : 'ipv6'
    const answer = this.#lists[family].check(address, family)
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(address, answer)
    return answer
  }
}

/** Loaded by the first call, as `isIP` is. */
function newBlockList(): BlockList {
  return new (process.getBuiltinModule('node:net').BlockList)()
}

function rangesOf(text: string, name: string, others: readonly string[]): readonly Range[] {
  if (others.includes(text)) return []
  const ranges = (NAMED.get(text) ?? [text]).flatMap((one) => parseRange(one) ?? [])
  if (ranges.length > 0) return ranges
  const names = [...NAMED.keys(), ...others].map((word) => `"${word}"`)
  const last = names.pop()
  const accepted = `an IP address, a CIDR range such as "10.0.0.0/8", ${names.join(', ')} or ${last}`
  throw invalid(RangeError, 'INVALID_OPTION', name, accepted, text)
}

/**
 * Checks a list of addresses, CIDR ranges and names, or one of them.
 *
 * @param value what should be a string or an array of strings
 * @param name the argument, for the messages
 * @throws TypeError for anything but strings, RangeError for a string that is no address, range or name;
 * the message names the place, the value and what is accepted
 */
export function readRanges(value: unknown, name: string): AddressRanges {
  return new AddressRanges(readList(value, name), name)
}

/**
 * The strings of a list, or of one string, in an array of our own. What they say is not checked.
 *
 * @throws TypeError for anything else, naming the place in the list
 */
export function readList(value: unknown, name: string): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : value
  if (!Array.isArray(list)) {
    throw invalid(TypeError, 'INVALID_OPTION', name, 'a string or an array of strings', value)
  }
  return Array.from(list, (text: unknown, i) => {
    if (typeof text === 'string') return text
    throw invalid(TypeError, 'INVALID_OPTION', `${name}[${i}]`, 'a string', text)
  })
}

/**
 * Reads an address or a CIDR range.
 *
 * Bits behind the prefix may be set (`10.1.2.3/8`). Ranges of IPv4-mapped and of NAT64 addresses turn into
 * IPv4 ranges, as the addresses in them do.
 *
 * @returns undefined for any other text, and for what {@link canonical} does not read: octal, hex or
 * integer IPv4, blanks, a zone, a netmask in place of a prefix, leading zeros
 */
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

/** First and last addresses of the IPv4 and the IPv6 Internet; all others are special, and not handed out. */
const INTERNET = [
  ['ipv4', '1.0.0.0', '223.255.255.255'],
  ['ipv6', '2000::', '3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
] as const

/** Whether ranges together hold all of the IPv4 or all of the IPv6 Internet, in one range or in pieces. */
export function coversAllAddresses(ranges: readonly Range[]): boolean {
  return INTERNET.some(([family, first, last]) => {
    const spans = ranges.filter((range) => range.family === family).map(spanOf)
    spans.sort(([a], [b]) => (a < b ? -1 : 1))
    let next = numberOf(first)
    for (const [start, end] of spans) {
      if (start <= next && end >= next) next = end + 1n
    }
    return next > numberOf(last)
  })
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
