import { BlockList, isIP } from 'node:net'
import { mustBe } from '../validate.ts'
import { MAX_ADDRESS_LENGTH } from './ip.ts'
import { parseRanges, RANGE_NAMES, type Range } from './range.ts'

/**
 * Addresses whose answer is remembered, because asking a `BlockList` takes over a microsecond. When they are
 * all there, all are forgotten: a client that shows ever new addresses makes us ask, and costs no memory.
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
  readonly #ipv4 = new BlockList()
  readonly #ipv6 = new BlockList()
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
      const known = family === 'ipv4' ? this.#ipv4 : this.#ipv6
      known.addSubnet(address, prefix, family)
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
    const family = isIP(address)
    if (family === 0) return false
    const answer =
      family === 4 ? this.#ipv4.check(address, 'ipv4') : this.#ipv6.check(address, 'ipv6')
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(address, answer)
    return answer
  }
}

function rangesOf(text: string, name: string, others: readonly string[]): readonly Range[] {
  if (others.includes(text)) return []
  const accepted = acceptedRanges(others)
  if (typeof text !== 'string') throw new TypeError(mustBe(name, accepted, text))
  const ranges = parseRanges(text)
  if (ranges === undefined) throw new RangeError(mustBe(name, accepted, text))
  return ranges
}

function acceptedRanges(others: readonly string[]): string {
  const names = [...RANGE_NAMES, ...others].map((name) => `"${name}"`)
  const last = names.pop()
  return `an IP address, a CIDR range such as "10.0.0.0/8", ${names.join(', ')} or ${last}`
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
    throw new TypeError(mustBe(name, 'a string or an array of strings', value))
  }
  return Array.from(list, (text: unknown, i) => {
    if (typeof text !== 'string') throw new TypeError(mustBe(`${name}[${i}]`, 'a string', text))
    return text
  })
}
