import { type Decision, deniedFor } from '../decision.ts'
import type { Limiter } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'
import { type Caller, type Outcome, Refused } from '../wait-queue.ts'

/**
 * Delays what would be refused, first come first served, for `maxDelayMs` at most: what would take longer
 * by its place in the queue is refused at once, and so is what finds the queue full.
 *
 * @param client who is charged nothing once it has gone, and waits no longer
 */
export function chargeSlowly(
  tier: Limiter,
  charge: { key: string; cost: number | undefined },
  maxDelayMs: number,
  client: Caller,
): MaybePromise<Decision> {
  const { key, cost } = charge
  return andThen(tier.delay(key, cost ?? 1, maxDelayMs, client), (outcome: Outcome<Decision>) => {
    const { decision, reason } =
      outcome instanceof Refused ? outcome : { decision: outcome, reason: undefined }
    if (decision.allowed && reason === undefined) return decision
    // The limits themselves refuse it: an offence, if `blockFor` says so.
    const isOffence = reason === 'late' && decision.retryAfterMs > maxDelayMs
    return isOffence ? tier.check(key, cost) : denied(decision)
  })
}

function denied(decision: Decision): Decision {
  return decision.allowed ? deniedFor(decision, 1) : decision
}
