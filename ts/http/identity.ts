import { hashText } from '../key-hash.ts'

const MAX_LENGTH = 100
let made = 0

/** A name for what stands at one place in the program, a route say: the same in each of its processes. */
export function limiterNameOf(place: string): string {
  if (place.length <= MAX_LENGTH && place.isWellFormed()) return place
  return hashText(place)
}

/**
 * A name for what nothing is known of but its turn. Processes of one program come to the same names, as
 * long as they make their limiters in the same order; a `scope` or a `name` does not depend on that.
 */
export function nextLimiterName(): string {
  made++
  return `limiter ${made}`
}
