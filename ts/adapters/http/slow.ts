import type { Decision } from '../../decision.ts'
import { RateLimitExceeded } from '../../exceeded.ts'
import type { Answer, Tier } from '../../tier.ts'
import { then } from './answer.ts'

/**
 * Delays what would be refused, first come first served, for `maxDelayMs` at most: what would take longer
 * is refused at once.
 *
 * @param onGone calls back when the client has gone: nobody waits for it then, and it is charged nothing
 */
export function chargeSlowly(
  tier: Tier,
  charge: { key: string; cost: number | undefined },
  maxDelayMs: number,
  onGone: (gone: () => void) => void,
): Answer<Decision> {
  const { key, cost } = charge
  const peeked = tier.peek(key, cost)
  const isRemote = peeked instanceof Promise
  return then(peeked, (seen) => {
    // What a remote tier says may be out of date: of those who ask at once each would be let in, and most
    // refused. Its own queue lets in one after the other.
    const isOpen = seen.allowed && !isRemote
    if (isOpen || (!seen.allowed && seen.retryAfterMs > maxDelayMs)) return tier.check(key, cost)
    const controller = new AbortController()
    onGone(() => controller.abort())
    const { signal } = controller
    return tier.wait(key, { cost, maxWaitMs: maxDelayMs, signal }).catch((error: unknown) => {
      if (error instanceof RateLimitExceeded) return error.decision
      if (signal.aborted) return seen
      throw error
    })
  })
}
