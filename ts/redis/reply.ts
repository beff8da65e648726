import { agedDenial, type Decision, retryAfterOf } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'

/*
 * A reply, as `script/prelude.ts` makes it:
 *
 *   allowed, remaining, retry after, reset, more or policy, the deciding limit's own reset, the block
 *
 * With one limit the fifth number is when there will be more, and an admission may end with it. With several it
 * is the deciding limit, and for each limit follow what it has left and when it will have more; under a block
 * then for each limit how long it would deny by itself, and when it is whole. A server's time comes last, if it
 * was asked for: then the numbers are even in number.
 * Times are milliseconds, -1 is never.
 */
const ALLOWED = 0
const REMAINING = 1
const RETRY = 2
const RESET = 3
const MORE = 4
const POLICY = 4
const LIMIT_RESET = 5
const BLOCK = 6
/** Numbers before those of each of several limits. */
const SHARED = 7
/** A script that found itself too late says this and its time, and has done nothing. */
const LATE = -2

/** A decision of Redis. The reply it was made from goes with it, for those who want to know more. */
class Answer implements Decision {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly limitResetMs: number
  readonly retryAfterMs: number
  readonly retryAfter: number | undefined
  readonly policy: number
  readonly #numbers: readonly number[]

  constructor(numbers: readonly number[], policy: number, limit: number, isOne: boolean) {
    const retryAfterMs = orNever(numbers[RETRY] as number)
    this.allowed = (numbers[ALLOWED] as number) > 0
    this.limit = limit
    this.remaining = numbers[REMAINING] as number
    this.resetMs = numbers[RESET] as number
    this.limitResetMs = numbers[isOne ? RESET : LIMIT_RESET] as number
    this.retryAfterMs = retryAfterMs
    this.retryAfter = retryAfterOf(retryAfterMs)
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
  return numbers[ALLOWED] === LATE ? numbers[1] : undefined
}

/** The decision that a reply means. Its standings are kept beside it, for as long as it lives. */
export function readReply(numbers: readonly number[], limits: readonly Limit[]): Decision {
  const isOne = limits.length === 1
  const policy = isOne ? 0 : (numbers[POLICY] as number)
  return new Answer(numbers, policy, (limits[policy] as Limit).count, isOne)
}

/** How the limits of a reply stand to those of its caller. */
export interface Order {
  /** How many limits the reply is about. */
  readonly size: number
  /** For each limit of the caller, which of the reply's speaks for it. */
  readonly places: readonly number[]
  /** For each limit of the reply, which of the caller's it is. */
  readonly indices: readonly number[]
}

/** The same reply, about the caller's limits in the caller's order. */
export function reordered(numbers: readonly number[], order: Order): readonly number[] {
  const { size, places, indices } = order
  if (places.length === 1) return numbers
  const shared = numbers.slice(0, SHARED)
  shared[POLICY] = indices[size === 1 ? 0 : (numbers[POLICY] as number)] ?? 0
  const pair = (at: number): readonly number[] => numbers.slice(at, at + 2)
  const standings = places.flatMap((place) =>
    size === 1 ? [numbers[REMAINING] as number, numbers[MORE] as number] : pair(SHARED + 2 * place),
  )
  const own = tellsOwnTimes(numbers, size) && size > 1
  const times = own ? places.flatMap((place) => pair(ownTimes(size, place))) : []
  return [...shared, ...standings, ...times]
}

/** A denial as it reads some time later. Made for each call of a flood, so it copies nothing. */
class Aged implements Decision {
  readonly allowed = false
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly limitResetMs: number
  readonly retryAfterMs: number
  readonly retryAfter: number | undefined
  readonly policy: number
  readonly #numbers: readonly number[]
  readonly #ageMs: number

  constructor(numbers: readonly number[], ageMs: number, limits: readonly Limit[]) {
    const policy = limits.length === 1 ? 0 : policyIn(numbers, ageMs, limits.length)
    const retryAfterMs = rest(numbers[RETRY] as number, ageMs)
    this.limit = (limits[policy] as Limit).count
    this.remaining = numbers[REMAINING] as number
    this.resetMs = rest(numbers[RESET] as number, ageMs)
    this.limitResetMs =
      limits.length === 1 ? this.resetMs : ownReset(numbers, ageMs, limits.length, policy)
    this.retryAfterMs = retryAfterMs
    this.retryAfter = retryAfterOf(retryAfterMs)
    this.policy = policy
    this.#numbers = numbers
    this.#ageMs = ageMs
  }

  /** The same, some more time later. */
  static older(decision: Decision, ms: number, limits: readonly Limit[]): Decision | undefined {
    if (!(#numbers in decision)) return undefined
    return new Aged(decision.#numbers, decision.#ageMs + ms, limits)
  }

  static standingsOf(decision: Decision, limits: number): readonly LimitStatus[] | undefined {
    if (!(#numbers in decision)) return undefined
    return readStandings(decision.#numbers, limits, decision.#ageMs)
  }
}

/** A denial as it reads some time later, if nothing has happened to the key since. */
export function agedReply(denial: Decision, ms: number, limits: readonly Limit[]): Decision {
  const told = Answer.numbersOf(denial)
  if (told !== undefined) return new Aged(told, ms, limits)
  return Aged.older(denial, ms, limits) ?? agedDenial(denial, ms)
}

/** While a key is blocked its limits recover, and another may come to be the one that would deny longest. */
function policyIn(numbers: readonly number[], ageMs: number, limits: number): number {
  if (!tellsOwnTimes(numbers, limits)) return numbers[POLICY] as number
  let [policy, longest] = [0, 0]
  for (let limit = 0; limit < limits; limit++) {
    const wait = rest(numbers[ownTimes(limits, limit)] as number, ageMs, 0)
    if (wait > longest) [policy, longest] = [limit, wait]
  }
  return policy
}

function ownReset(
  numbers: readonly number[],
  ageMs: number,
  limits: number,
  policy: number,
): number {
  if (!tellsOwnTimes(numbers, limits)) return rest(numbers[LIMIT_RESET] as number, ageMs)
  const whole = rest(numbers[ownTimes(limits, policy) + 1] as number, ageMs, 0)
  return Math.max(whole, rest(numbers[BLOCK] as number, ageMs))
}

/** Where a reply under a block says how long a limit would deny by itself, and then when it is whole. */
function ownTimes(limits: number, limit: number): number {
  return SHARED + 2 * (limits + limit)
}

function tellsOwnTimes(numbers: readonly number[], limits: number): boolean {
  return numbers.length >= ownTimes(limits, limits)
}

/** The denial of one unit that follows an admission which left nothing, if there is one limit. */
export function deniedNext(admission: Decision): Decision {
  const numbers = [...(Answer.numbersOf(admission) ?? [])]
  numbers[ALLOWED] = 0
  numbers[RETRY] = numbers[MORE] as number
  numbers[BLOCK] = 0
  return new Answer(numbers, 0, admission.limit, true)
}

/** The decision, with units that this process has at hand beside what Redis has left. */
export function withUnits(decision: Decision, units: number, limits: number): Decision {
  const told = Answer.numbersOf(decision)
  if (told === undefined) return decision
  const numbers = [...told]
  numbers[REMAINING] = decision.remaining + units
  for (let limit = 0; limits > 1 && limit < limits; limit++) {
    const place = SHARED + 2 * limit
    numbers[place] = (numbers[place] as number) + units
  }
  return new Answer(numbers, decision.policy, decision.limit, limits === 1)
}

/** An admission from units that were charged before. */
class Served implements Decision {
  readonly allowed = true
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
  readonly limitResetMs: number
  readonly retryAfterMs = 0
  readonly retryAfter = 0
  readonly policy: number
  readonly #batch: Decision
  readonly #units: number
  readonly #ageMs: number

  constructor(batch: Decision, units: number, ageMs: number) {
    this.limit = batch.limit
    this.remaining = batch.remaining + units
    this.resetMs = aged(batch.resetMs, ageMs)
    this.limitResetMs = aged(batch.limitResetMs, ageMs)
    this.policy = batch.policy
    this.#batch = batch
    this.#units = units
    this.#ageMs = ageMs
  }

  static standingsOf(decision: Decision, limits: number): readonly LimitStatus[] | undefined {
    if (!(#batch in decision)) return undefined
    return standingsAt(decision.#batch, limits)?.map(({ remaining, moreMs }) => ({
      remaining: remaining + decision.#units,
      moreMs: moreMs > 0 ? aged(moreMs, decision.#ageMs) : moreMs,
    }))
  }
}

/**
 * What a caller is told who is served from units at hand.
 *
 * @param batch what Redis said when they were charged, `ageMs` ago
 * @param units what is left of them
 */
export function served(batch: Decision, units: number, ageMs: number): Decision {
  return new Served(batch, units, ageMs)
}

/** Milliseconds for which a denied key is blocked, whatever its limits say. */
export function blockMsIn(denial: Decision): number {
  return denial.allowed ? 0 : (Answer.numbersOf(denial)?.[BLOCK] ?? 0)
}

/** Units that the script has charged, if it was to say. */
export function chargedUnits(numbers: readonly number[]): number {
  return Math.max(0, numbers[ALLOWED] ?? 0)
}

/** How each limit stood when the decision was taken, if it came from Redis. */
export function standingsAt(
  decision: Decision,
  limits: number,
): readonly LimitStatus[] | undefined {
  const numbers = Answer.numbersOf(decision)
  if (numbers !== undefined) return readStandings(numbers, limits, 0)
  return Served.standingsOf(decision, limits) ?? Aged.standingsOf(decision, limits)
}

function readStandings(
  numbers: readonly number[],
  limits: number,
  ageMs: number,
): readonly LimitStatus[] {
  const more = (place: number): number => rest(numbers[place] ?? 0, ageMs)
  if (limits === 1) return [{ remaining: numbers[REMAINING] ?? 0, moreMs: more(MORE) }]
  return Array.from({ length: limits }, (_, limit) => {
    const place = SHARED + 2 * limit
    return { remaining: numbers[place] ?? 0, moreMs: more(place + 1) }
  })
}

/** A time as it is some milliseconds later: at least `least`, unless it is none or never. */
function rest(ms: number, ageMs: number, least = 1): number {
  if (ms <= 0) return ms < 0 ? Number.POSITIVE_INFINITY : ms
  return Math.max(least, Math.ceil(ms - ageMs))
}

function aged(ms: number, by: number): number {
  return Math.max(1, Math.ceil(ms - by))
}

function orNever(ms: number): number {
  return ms < 0 ? Number.POSITIVE_INFINITY : ms
}
