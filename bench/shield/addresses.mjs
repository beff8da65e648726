/** Who sends from where: people and bots alike come from all over the address space. */

const hex = (value) => value.toString(16)

/** A public-looking IPv4 address; nearly every one has a /24 of its own. */
export function ipv4(random) {
  const first = random.whole(1, 222)
  const net = first === 10 || first === 127 ? 11 : first
  return `${net}.${random.whole(0, 255)}.${random.whole(0, 255)}.${random.whole(1, 254)}`
}

/** An address in a /64 of its own. */
export function ipv6(random) {
  return inBlock(random, `2a0${hex(random.whole(0, 15))}:${hex(random.whole(1, 0xffff))}`, 1)
}

/** People: four in five by IPv4, the others by IPv6. */
export const personal = (random) => (random.chance(0.2) ? ipv6(random) : ipv4(random))

/** Rented blocks: /48s of which each /64 can be used. */
export function blocks(random, count) {
  return Array.from(
    { length: count },
    () => `2602:${hex(random.whole(1, 0xffff))}:${hex(random.whole(1, 0xffff))}`,
  )
}

/** An address of a block, in any of its /64s. `groups` of 16 bits are still free before the last 64 bits. */
export function inBlock(random, block, groups = 1) {
  const middle = block.split(':').length + groups < 4 ? `${hex(random.whole(0, 0xffff))}:` : ''
  return `${block}:${middle}${hex(random.whole(0, 0xffff))}::${hex(random.whole(1, 0xffff))}`
}
