import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import type { MaybePromise } from '../limiter.ts'
import type { Entry } from './agenda.ts'

/** Lateness of timers that is forgiven to a waiter, at most. */
const MAX_GRACE_MS = 100

/** Whether the client or function that waits is still there. */
export interface Caller {
  readonly isGone: boolean
  /**
   * Calls `gone` once when the caller goes.
   *
   * @returns ends the watch
   */
  watch(gone: () => void): () => void
}

/** What a caller asks for, until `deadline` on the queue's clock. */
export interface Request<Limits> {
  readonly limits: Limits
  readonly key: string
  readonly cost: number
  readonly deadline: number
  readonly caller: Caller | undefined
}

/** Why a queue refused a caller. */
export type Reason =
  /** Its turn would come after its deadline, or has not come by then. */
  | 'late'
  /** As many callers wait for the key as may. */
  | 'crowded-key'
  /** As many callers wait for the limiter as may. */
  | 'crowded'
  /** The caller has gone. */
  | 'gone'

/** The queue refused a caller whom the limits might have admitted in time. */
export class Refused {
  /** The denial that stood last. */
  readonly decision: Decision
  readonly reason: Reason

  constructor(decision: Decision, reason: Reason) {
    this.decision = decision
    this.reason = reason
  }
}

/** What comes of waiting: the answer to the question, or the queue's refusal. */
export type WaitResult<T> = T | Refused

/** The head of a line is denied now, and asks again. */
export class Later {
  readonly denial: Decision
  /** When the head asks again, in milliseconds from this answer. */
  readonly pauseMs: number
  /** The shortest time after which the head can be admitted. */
  readonly minMs: number
  /** The shortest time after which a caller can be admitted who waits behind `ahead` units. */
  readonly placeMs: (ahead: number, cost: number) => number

  constructor(denial: Decision, pauseMs: number, minMs: number, placeMs: Later['placeMs']) {
    this.denial = denial
    this.pauseMs = pauseMs
    this.minMs = minMs
    this.placeMs = placeMs
  }
}

/** How many callers may wait, and by which clock. */
export interface QueueOptions {
  readonly clock: Clock | undefined
  readonly maxWaitersPerKey: number
  readonly maxWaiters: number
}

/**
 * What a queue asks for its callers. Answers at once where the counters are in this process.
 *
 * Callers of one key may come with different `limits`; each call is given those that count in it.
 */
export interface Source<T, Limits> {
  /**
   * Charges, or answers that it is not yet time. Any other answer is final. A denial begins no block: waiting
   * for a turn is no offence.
   *
   * @param pauses how many times in a row the head of the line has been answered {@link Later}
   */
  ask(limits: Limits, key: string, cost: number, pauses: number): MaybePromise<T | Later>
  /** The decision about a cost, without charging it. */
  peek(limits: Limits, key: string, cost: number): MaybePromise<Decision>
  /** The denial as it reads `ms` later, if nothing has happened to the key since. */
  aged(limits: Limits, denial: Decision, ms: number): Decision
  /** Refunds a charge that came after its caller had gone. Returns what had been decided. */
  giveBack(limits: Limits, key: string, cost: number, answer: T): Decision
}

/** A caller who waits, linked to both neighbours: any of ten thousand may leave at any time. */
export class Waiter<T, Limits> implements Entry {
  at = 0
  place = -1
  isWaiting = true
  before: Waiter<T, Limits> | undefined = undefined
  after: Waiter<T, Limits> | undefined = undefined
  stopWatching: (() => void) | undefined = undefined
  /** By how much the line was late when the waiter joined. */
  lateBefore = 0
  readonly line: Line<T, Limits>
  readonly cost: number
  readonly deadline: number
  readonly resolve: (outcome: WaitResult<T>) => void
  readonly reject: (reason: unknown) => void

  constructor(
    line: Line<T, Limits>,
    { cost, deadline }: Request<Limits>,
    resolve: (outcome: WaitResult<T>) => void,
    reject: (reason: unknown) => void,
  ) {
    this.line = line
    this.cost = cost
    this.deadline = deadline
    this.resolve = resolve
    this.reject = reject
  }

  /** The deadline and what the line has lost since the waiter joined: by its place it was in time. */
  get extendedDeadline(): number {
    return this.deadline + Math.min(this.line.lateMs - this.lateBefore, MAX_GRACE_MS)
  }
}

/** The callers who wait for one key. As an {@link Entry}: when its head asks next. */
export class Line<T, Limits> implements Entry {
  readonly key: string
  /** Those of the caller who joined last. */
  limits: Limits
  at = 0
  place = -1
  head: Waiter<T, Limits> | undefined
  /** Waiters, and the units they wait for. */
  size = 0
  units = 0
  /** The head's last answer, when it came, and the limits it was asked with. */
  later: Later
  laterAt: number
  askedWith: Limits
  /** A question of the head is under way. */
  isAsking = false
  /** The head is to ask once more as soon as it has its answer. */
  isWoken = false
  /** How many times in a row a head has been denied. */
  pauses = 0
  /** By how much heads were admitted later than they could be: timers fire late, and each delays all behind it. */
  lateMs = 0
  #tail: Waiter<T, Limits> | undefined

  constructor(limits: Limits, key: string, later: Later, laterAt: number) {
    this.limits = limits
    this.key = key
    this.later = later
    this.laterAt = laterAt
    this.askedWith = limits
  }

  push(waiter: Waiter<T, Limits>): void {
    waiter.before = this.#tail
    waiter.lateBefore = this.lateMs
    if (this.#tail === undefined) this.head = waiter
    else this.#tail.after = waiter
    this.#tail = waiter
    this.size++
    this.units += waiter.cost
  }

  /** Heads that are admitted in the same moment are late once. */
  noteAdmission(now: number): void {
    this.pauses = 0
    if (this.place >= 0 || !(now > this.at)) return
    this.lateMs += now - this.at
    this.at = now
  }

  noteDenial(later: Later, now: number, limits: Limits): void {
    this.later = later
    this.laterAt = now
    this.askedWith = limits
    this.pauses++
  }

  drop(waiter: Waiter<T, Limits>): void {
    const { before, after } = waiter
    waiter.isWaiting = false
    if (before === undefined) this.head = after
    else before.after = after
    if (after === undefined) this.#tail = before
    else after.before = before
    this.size--
    this.units -= waiter.cost
  }
}

/** Times are rounded up, so the true wait may be shorter, but by less than a millisecond. */
export function isInTime(at: number, deadline: number): boolean {
  return at - 1 < deadline
}
