import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Random } from '../fixtures/random.ts'

const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/**
 * The canonical form by other libraries: `net.isIP` says what is an address, `URL` how IPv6 is written, and
 * ipaddr.js which IPv4 address is in it. Asked about what `URL` wrote: it takes `::1.2.3.4` for IPv4-mapped.
 */
export function oracle(text: string): string | undefined {
  if (text.length > 64 || isIP(text) === 0) return undefined
  if (isIP(text) === 4) return text
  const written = new URL(`http://[${text.split('%')[0]}]/`).hostname.slice(1, -1)
  const parsed = ipaddr.IPv6.parse(written)
  if (!parsed.isIPv4MappedAddress() && !parsed.match(NAT64)) return written
  return ipaddr.fromByteArray(parsed.toByteArray().slice(12)).toString()
}

export function ipv4(random: Random): string {
  return [0, 0, 0, 0].map(() => random.pick([0, 1, 10, 127, 255, random.integer(0, 255)])).join('.')
}

/** A valid IPv6 address in any of its spellings, rich in zeros and in prefixes that mean something. */
export function ipv6(random: Random): string {
  const groups = Array.from({ length: 8 }, () =>
    random.chance(0.5) ? 0 : random.integer(0, 0xffff),
  )
  const known = random.pick([[], [], [0, 0, 0, 0, 0, 0xffff], [0x64, 0xff9b, 0, 0, 0, 0], [0xfe80]])
  groups.splice(0, known.length, ...known)
  return spelling(groups, random)
}

/** Groups in a random spelling: letter case, leading zeros, `::` anywhere it may be, IPv4 at the end. */
export function spelling(groups: readonly number[], random: Random): string {
  let parts = groups.map((group) => {
    const hex = group.toString(16).padStart(random.pick([1, 1, 2, 4]), '0')
    return random.chance(0.3) ? hex.toUpperCase() : hex
  })
  if (random.chance(0.25)) parts = [...parts.slice(0, 6), dotted(groups)]
  const text = parts.join(':')
  return random.chance(0.7) ? shortened(parts, groups, random) : text
}

function dotted(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function shortened(parts: readonly string[], groups: readonly number[], random: Random): string {
  const count = parts.length === 8 ? 8 : 6
  const start = random.integer(0, count - 1)
  let end = start
  while (end < count && groups[end] === 0 && random.chance(0.9)) end++
  if (end === start) return parts.join(':')
  return `${parts.slice(0, start).join(':')}::${parts.slice(end).join(':')}`
}

const LETTERS = [...'0123456789abcdefABCDEFgx:::...%[],;"=\\/ \t_-+\0\u00e9\uff11\u212a\n']

/** A text with one to three letters put in, taken out, replaced or doubled. */
export function mutated(text: string, random: Random): string {
  let result = text
  for (let edits = random.integer(1, 3); edits > 0; edits--) {
    const at = random.integer(0, result.length)
    const kept = random.integer(at, Math.min(at + 2, result.length))
    const put = random.pick([
      random.pick(LETTERS),
      random.pick(LETTERS),
      '',
      result.slice(at, kept + 1),
    ])
    result = result.slice(0, at) + put + result.slice(random.pick([at, kept]))
  }
  return result
}

/** An address, sometimes with a zone, right or wrong. */
export function addressLike(random: Random): string {
  const text = random.chance(0.3) ? ipv4(random) : ipv6(random)
  return random.chance(0.1) ? `${text}%${random.pick(ZONES)}` : text
}

const ZONES = ['eth0', 'a', '1', 'x.y', '', 'a%b', '-']

/** A valid address and mistakes made from it. */
export function family(random: Random): string[] {
  const text = addressLike(random)
  return [text, mutated(text, random), mutated(text, random), mutated(text, random)]
}
