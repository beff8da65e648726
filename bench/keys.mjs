/** Every id has seven digits, so every key has twelve characters, as a user id or an IPv4 address has. */
export const FIRST_ID = 1_000_000

const SEED = 0x9e3779b9

export const keyOf = (id) => `user:${id}`

export function idsFrom(first, count) {
  return Int32Array.from({ length: count }, (_, index) => first + index)
}

/** The same order for every subject and every run: the generator starts from one fixed seed. */
export function shuffle(ids) {
  const shuffled = ids.slice()
  const random = seededRandom(SEED)
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const held = shuffled[last]
    shuffled[last] = shuffled[other]
    shuffled[other] = held
  }
  return shuffled
}

/**
 * What a case's loop reads, in the order of the rounds and in ascending order.
 *
 * Strings are made, and tables filled, in ascending order. In the order of the rounds they would
 * lie in memory as they are read, and a million random keys would cost no more than a few.
 */
export function inputsOf(form, order) {
  const first = order.reduce((least, id) => Math.min(least, id), order[0])
  const last = order.reduce((most, id) => Math.max(most, id), order[0])
  const ids = idsFrom(first, last - first + 1)
  if (form === 'fresh') return { timed: order, ascending: ids }
  const ascending = Array.from(ids, keyOf)
  return { timed: Array.from(order, (id) => ascending[id - first]), ascending }
}

/** mulberry32: four lines, a full period of 2^32, good enough to shuffle with. */
export function seededRandom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
