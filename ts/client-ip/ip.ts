import { integer } from '../validate.ts'

/**
 * Longest text that is looked at as an address, in UTF-16 code units. The longest address has 45, the longest
 * zone Linux knows 15.
 */
export const MAX_ADDRESS_LENGTH = 64
/** What a text is; 0 for no address. Loaded by the first call: node:net takes milliseconds to load. */
export let isIP: Net['isIP'] = (text) => {
  isIP = process.getBuiltinModule('node:net').isIP
  return isIP(text)
}
type Net = typeof import('node:net')

const MAPPED = '::ffff:'
const COLON = 0x3a
const NINE = 0x39

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
  if (family === 4) return copied(text)
  const groups = groupsOf(withoutZone(text))
  return embeddedIPv4(groups) ?? textOf(groups)
}

/**
 * A copy: V8 cuts pieces of 13 characters or more out of a text by pointing into it, and so an address
 * that is kept would keep the whole header it came in. Shorter pieces are copied.
 */
function copied(text: string): string {
  return text.slice(0, 8) + text.slice(8)
}

function withoutZone(text: string): string {
  const zone = text.indexOf('%')
  return zone === -1 ? text : text.slice(0, zone)
}

/**
 * Canonical form of the address that the kernel gave for a socket, as {@link canonical} would write it.
 *
 * @param remoteAddress `socket.remoteAddress`. It is taken to be an address: any other text is returned unchanged
 */
export function socketAddress(remoteAddress: string): string {
  if (!remoteAddress.includes(':')) return remoteAddress
  if (remoteAddress.startsWith(MAPPED)) {
    // What every IPv4 client of a dual-stack socket looks like, worth a short cut: `::ffff:1.2.3.4`.
    const rest = remoteAddress.slice(MAPPED.length)
    if (isIP(rest) === 4) return rest
  }
  return canonical(withoutZone(remoteAddress)) ?? remoteAddress
}

/**
 * The key under which a client is counted: an IPv4 address itself; of an IPv6 address the network, because
 * one line owns at least 2^64 addresses: `2001:db8:1:2::/64`.
 *
 * @param canonicalAddress what {@link canonical} or {@link socketAddress} returned
 * @param prefix what {@link readIpv6Prefix} returned: bits that tell one IPv6 client from another. IPv4 is never
 * masked. Default: 64
 */
export function addressKey(canonicalAddress: string, prefix = 64): string {
  if (!canonicalAddress.includes(':')) return canonicalAddress
  return `${textOf(mask(groupsOf(canonicalAddress), prefix))}/${prefix}`
}

/** Checks a prefix for {@link addressKey}: an integer from 32 to 128. */
export function readIpv6Prefix(value: unknown, name: string): number {
  return integer(value, name, 32, 128)
}

/** The eight 16-bit groups of an IPv6 address, most significant first. */
type Groups = number[]

/**
 * Groups of an IPv6 address.
 *
 * Node's own `SocketAddress` and `URL` read addresses too, but give text back, at 1.5 and 0.3 microseconds;
 * masking and recognizing IPv4-mapped addresses by value need numbers. So `net.isIP` decides what an address
 * is, and this only reads what it accepted.
 *
 * @param text what `net.isIPv6` accepts, without a zone. Anything else gives eight meaningless numbers
 */
export function groupsOf(text: string): Groups {
  const hex = text.includes('.') ? withoutDots(text) : text
  const groups: Groups = [0, 0, 0, 0, 0, 0, 0, 0]
  let at = 0
  let gap = -1
  for (let i = 0; i < hex.length; i++) {
    const code = hex.charCodeAt(i)
    if (code !== COLON) groups[at] = ((groups[at] ?? 0) << 4) | hexDigit(code)
    else if (hex.charCodeAt(i - 1) === COLON) gap = at
    else at++
  }
  return gap === -1 ? groups : widen(groups, gap, 7 - at)
}

/** Moves the groups behind `::` to the end, with as many zero groups before them as were left out. */
function widen(groups: Groups, gap: number, missing: number): Groups {
  return groups.copyWithin(gap + missing, gap, 8 - missing).fill(0, gap, gap + missing)
}

/** The IPv4 address at the end of some IPv6 spellings, as two groups. */
function withoutDots(text: string): string {
  const start = text.lastIndexOf(':') + 1
  const [a = 0, b = 0, c = 0, d = 0] = text.slice(start).split('.').map(Number)
  return `${text.slice(0, start)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

function hexDigit(code: number): number {
  return code <= NINE ? code - 0x30 : (code | 0x20) - 0x57
}

/**
 * Text of groups as RFC 5952 wants it: lower case, no leading zeros, and `::` for the longest run of two or
 * more zero groups, the first one if several are longest. Never with an IPv4 address at the end.
 */
function textOf(groups: Groups): string {
  const [start, length] = longestZeros(groups)
  if (length < 2) return joined(groups, 0, 8)
  return `${joined(groups, 0, start)}::${joined(groups, start + length, 8)}`
}

function joined(groups: Groups, from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) {
    const hex = (groups[i] ?? 0).toString(16)
    text += i === from ? hex : `:${hex}`
  }
  return text
}

function longestZeros(groups: Groups): [start: number, length: number] {
  let start = 0
  let length = 0
  let run = 0
  for (let i = 0; i < 8; i++) {
    run = groups[i] === 0 ? run + 1 : 0
    if (run > length) {
      length = run
      start = i + 1 - run
    }
  }
  return [start, length]
}

/**
 * The IPv4 address that is embedded in groups, in dotted notation: the last two groups of an IPv4-mapped address
 * (`::ffff:0:0/96`) and of NAT64's well-known prefix (`64:ff9b::/96`). Recognized by value, in any spelling.
 *
 * IPv4-compatible addresses (`::1.2.3.4`) are IPv6: they are obsolete, and `::1` would be one of them.
 *
 * @returns undefined for any other IPv6 address
 */
function embeddedIPv4(groups: Groups): string | undefined {
  const [a, b, c, d, e, f, high = 0, low = 0] = groups
  if (c !== 0 || d !== 0 || e !== 0) return undefined
  const isMapped = a === 0 && b === 0 && f === 0xffff
  const isNat64 = a === 0x64 && b === 0xff9b && f === 0
  if (!isMapped && !isNat64) return undefined
  return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`
}

/** Sets all but the first `prefix` bits to zero, in place. */
function mask(groups: Groups, prefix: number): Groups {
  const whole = prefix >> 4
  const part = groups[whole]
  if (part === undefined) return groups
  groups[whole] = part & (0xffff << (16 - (prefix & 15)))
  return groups.fill(0, whole + 1)
}
