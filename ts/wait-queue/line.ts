import type { Decision } from '../decision.ts'
import type { Entry } from './agenda.ts'

/** What late timers have cost a waiter is forgiven, up to so much. */
const MOST_GRACE_MS = 100

/** A caller who waits, linked to both neighbours: each may leave at any time, also one of ten thousand. */
export class Waiter<T> implements Entry {
  at = 0
  place = -1
  isWaiting = true
  before: Waiter<T> | undefined = undefined
  after: Waiter<T> | undefined = undefined
  /** Ends the look-out for the caller's going. */
  stopWatching: (() => void) | undefined = undefined
  /** By how much the line was late when it joined. */
  lateBefore = 0
  readonly line: Line<T>
  readonly cost: number
  readonly deadline: number
  readonly resolve: (outcome: Outcome<T>) => void
  readonly reject: (reason: unknown) => void

  constructor(
    line: Line<T>,
    cost: number,
    deadline: number,
    resolve: (outcome: Outcome<T>) => void,
    reject: (reason: unknown) => void,
  ) {
    this.line = line
    this.cost = cost
    this.deadline = deadline
    this.resolve = resolve
    this.reject = reject
  }

  /** Its deadline, and what the line has lost since it joined: by its place it was in time. */
  get forgivingDeadline(): number {
    return this.deadline + Math.min(this.line.lateMs - this.lateBefore, MOST_GRACE_MS)
  }
}

/** Why a queue refused a caller. */
export type Reason =
  /** Its turn would come too late, or has. */
  | 'late'
  /** As many wait for the key as may. */
  | 'crowded-key'
  /** As many wait for the limiter as may. */
  | 'crowded'
  /** The caller has gone. */
  | 'gone'

/** That a queue refused a caller to whom the limits might have said yes in time. */
export class Refused {
  /** The denial that stood last. */
  readonly decision: Decision
  readonly reason: Reason

  constructor(decision: Decision, reason: Reason) {
    this.decision = decision
    this.reason = reason
  }
}

/** What comes of waiting: the answer of what was asked, or that the queue refused. */
export type Outcome<T> = T | Refused

/** The head of a line is denied now, and asks again. */
export class Later {
  readonly denial: Decision
  /** When the head asks again, in milliseconds from when this was said. */
  readonly pauseMs: number
  /** The shortest time after which the head can be admitted. */
  readonly leastMs: number
  /**
   * The shortest time after which a caller can be admitted who waits behind others.
   *
   * @param ahead units of those before it
   */
  readonly placeMs: (ahead: number, cost: number) => number

  constructor(
    denial: Decision,
    pauseMs: number,
    leastMs: number,
    placeMs: (ahead: number, cost: number) => number,
  ) {
    this.denial = denial
    this.pauseMs = pauseMs
    this.leastMs = leastMs
    this.placeMs = placeMs
  }
}

/** The callers who wait for one key. As an {@link Entry}: when its head asks next. */
export class Line<T> implements Entry {
  readonly key: string
  at = 0
  place = -1
  head: Waiter<T> | undefined
  /** Waiters. */
  size = 0
  /** Units for which they wait. */
  units = 0
  /** What the head was told last, and when. */
  later: Later
  toldAt: number
  /** A question of the head's is under way. */
  isAsking = false
  /** The head is to ask once more as soon as it has its answer. */
  isWoken = false
  /** How many times in a row a head has been told to wait. */
  pauses = 0
  /** By how much its heads were admitted after they could be: timers fire late, and each delays all behind it. */
  lateMs = 0
  #tail: Waiter<T> | undefined

  constructor(key: string, later: Later, toldAt: number) {
    this.key = key
    this.later = later
    this.toldAt = toldAt
  }

  push(waiter: Waiter<T>): void {
    waiter.before = this.#tail
    waiter.lateBefore = this.lateMs
    if (this.#tail === undefined) this.head = waiter
    else this.#tail.after = waiter
    this.#tail = waiter
    this.size++
    this.units += waiter.cost
  }

  /** A head is admitted. Those that are in the same moment are late once. */
  noteAdmission(now: number): void {
    if (this.place >= 0 || !(now > this.at)) return
    this.lateMs += now - this.at
    this.at = now
  }

  /** The waiter is no longer in the line, and knows it. */
  drop(waiter: Waiter<T>): void {
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
