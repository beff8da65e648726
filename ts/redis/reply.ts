import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { Standing } from '../tier.ts'

/** Numbers of a reply before those of each limit. */
const SHARED = 5
/** A script that found itself too late says this and its time, and has done nothing. */
const LATE = -2

const standingsOf = new WeakMap<Decision, readonly Standing[]>()

/**
 * The reply of a script as numbers.
 *
 * @returns undefined for anything but a list of numbers: a client may have been told to hand out texts
 */
export function readNumbers(reply: unknown): readonly number[] | undefined {
  if (!Array.isArray(reply) || reply.length < 2) return undefined
  const numbers = typeof reply[0] === 'number' ? (reply as number[]) : reply.map(Number)
  return numbers.every(Number.isSafeInteger) ? numbers : undefined
}

/** The server's time in microseconds, if that is all the script said. */
export function lateness(numbers: readonly number[]): number | undefined {
  return numbers[0] === LATE ? numbers[1] : undefined
}

/** The decision that a reply means. Its standings are kept beside it, for as long as it lives. */
export function readReply(numbers: readonly number[], limits: readonly Limit[]): Decision {
  const [allowed, remaining = 0, retry = 0, resetMs = 0, policy = 0] = numbers
  const decision: Decision = {
    allowed: allowed === 1,
    limit: (limits[policy] as Limit).count,
    remaining,
    resetMs,
    retryAfterMs: orNever(retry),
    policy,
  }
  standingsOf.set(decision, readStandings(numbers))
  return decision
}

/** How each limit stood when the decision was taken, if it came from Redis. */
export function standingsAt(decision: Decision): readonly Standing[] | undefined {
  return standingsOf.get(decision)
}

/** Another decision on the same state. */
export function sameStandings(from: Decision, to: Decision): Decision {
  const standings = standingsOf.get(from)
  if (standings !== undefined) standingsOf.set(to, standings)
  return to
}

function readStandings(numbers: readonly number[]): readonly Standing[] {
  const standings: Standing[] = []
  for (let i = SHARED; i + 1 < numbers.length; i += 2) {
    standings.push({ remaining: numbers[i] ?? 0, moreMs: orNever(numbers[i + 1] ?? 0) })
  }
  return standings
}

function orNever(ms: number): number {
  return ms < 0 ? Number.POSITIVE_INFINITY : ms
}
