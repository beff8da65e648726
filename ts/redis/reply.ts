import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { Standing } from '../tier.ts'

/** Numbers of a reply before those of each limit. */
const SHARED = 5
/** A script that found itself too late says this and its time, and has done nothing. */
const LATE = -2

/** A decision of Redis. The reply it was made from goes with it, for whoever wants to know more. */
class Answer implements Decision {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly retryAfterMs: number
  readonly policy: number
  readonly #numbers: readonly number[]

  constructor(numbers: readonly number[], policy: number, limit: number) {
    this.allowed = (numbers[0] as number) > 0
    this.limit = limit
    this.remaining = numbers[1] as number
    this.resetMs = numbers[3] as number
    this.retryAfterMs = orNever(numbers[2] as number)
    this.policy = policy
    this.#numbers = numbers
  }

  static numbersOf(decision: Decision): readonly number[] | undefined {
    return #numbers in decision ? decision.#numbers : undefined
  }
}

/**
 * The reply of a script as numbers.
 *
 * @returns undefined for anything but a list of numbers: a client may have been told to hand out texts
 */
export function readNumbers(reply: unknown): readonly number[] | undefined {
  if (!Array.isArray(reply) || reply.length < 2) return undefined
  const numbers = typeof reply[0] === 'number' ? (reply as number[]) : reply.map(Number)
  for (let i = 0; i < numbers.length; i++) if (!Number.isSafeInteger(numbers[i])) return undefined
  return numbers
}

/** The server's time in microseconds, if that is all the script said. */
export function lateness(numbers: readonly number[]): number | undefined {
  return numbers[0] === LATE ? numbers[1] : undefined
}

/** The decision that a reply means. Its standings are kept beside it, for as long as it lives. */
export function readReply(numbers: readonly number[], limits: readonly Limit[]): Decision {
  const policy = limits.length === 1 ? 0 : (numbers[4] as number)
  return new Answer(numbers, policy, (limits[policy] as Limit).count)
}

/** A denial as it reads some time later, if nothing has happened to the key since. */
export function agedReply(denial: Decision, ms: number): Decision {
  const numbers = [...(Answer.numbersOf(denial) ?? [])]
  numbers[2] = Math.max(1, Math.ceil(denial.retryAfterMs - ms))
  numbers[3] = Math.max(1, Math.ceil(denial.resetMs - ms))
  return new Answer(numbers, denial.policy, denial.limit)
}

/** Units that the script has charged, if it was to say. */
export function chargedUnits(numbers: readonly number[]): number {
  return Math.max(0, numbers[0] ?? 0)
}

/** How each limit stood when the decision was taken, if it came from Redis. */
export function standingsAt(decision: Decision, limits: number): readonly Standing[] | undefined {
  const numbers = Answer.numbersOf(decision)
  if (numbers === undefined) return undefined
  if (limits === 1) return [{ remaining: decision.remaining, moreMs: orNever(numbers[4] ?? 0) }]
  return readStandings(numbers, limits)
}

function readStandings(numbers: readonly number[], limits: number): readonly Standing[] {
  return Array.from({ length: limits }, (_, limit) => {
    const [remaining = 0, moreMs = 0] = numbers.slice(SHARED + 2 * limit)
    return { remaining, moreMs: orNever(moreMs) }
  })
}

function orNever(ms: number): number {
  return ms < 0 ? Number.POSITIVE_INFINITY : ms
}
