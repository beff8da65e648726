import { type Limit, ownBurst } from './limit/limit.ts'
import type { Algorithm } from './options.ts'
import { invalid } from './validate.ts'

const WHERE = 'absent: only token-bucket and leaky-bucket have one'

/**
 * Limits with the burst that each of them has: its own, or option `burst` for the one with the shortest window.
 *
 * @throws RangeError with code INVALID_OPTION for a burst where the algorithm has none, or for two of one limit
 */
export function withBurst(
  limits: readonly Limit[],
  { algorithm, burst }: { readonly algorithm: Algorithm; readonly burst: number | undefined },
): readonly Limit[] {
  if (algorithm !== 'token-bucket' && algorithm !== 'leaky-bucket') {
    const own = limits.findIndex((limit) => ownBurst(limit) !== undefined)
    if (own >= 0) throw refusal(`limits[${own}].burst`, WHERE, limits[own]?.burst)
    if (burst !== undefined) throw refusal('burst', WHERE, burst)
  }
  if (burst === undefined) return limits
  const shortest = shortestOf(limits)
  if (ownBurst(limits[shortest] as Limit) !== undefined) {
    const once = `absent, as limits[${shortest}], which has the shortest window, has a burst of its own`
    throw refusal('burst', once, burst)
  }
  return Object.freeze(
    limits.map((limit, i) => (i === shortest ? Object.freeze({ ...limit, burst }) : limit)),
  )
}

/** Index of the limit with the shortest window, the first of equals. */
export function shortestOf(limits: readonly Limit[]): number {
  const least = Math.min(...limits.map((limit) => limit.windowMs))
  return limits.findIndex((limit) => limit.windowMs === least)
}

function refusal(name: string, accepted: string, value: unknown): Error {
  return invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}
