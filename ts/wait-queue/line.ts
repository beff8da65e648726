import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import type { MaybePromise } from '../limiter.ts'
import { Chain, type Link } from './chain.ts'
import { type Entry, Heap } from './heap.ts'
import type { Reason } from './types.ts'

export type { Entry } from './heap.ts'
export type { Caller, QueueOptions, Reason } from './types.ts'

/** Lateness of timers that is forgiven to a waiter, at most. */
const MAX_GRACE_MS = 100

/** The queue refused a caller whom the limits might have admitted in time. */
export class Refused {
  /** @param decision the denial that stood last */
  constructor(
    readonly decision: Decision,
    readonly reason: Reason,
  ) {}
}

/** What comes of waiting: the answer to the question, or the queue's refusal. */
export type WaitResult<T> = T | Refused

/** The head of a line is denied now, and asks again. */
export class Later {
  /**
   * @param pauseMs when the head asks again, in milliseconds from this answer
   * @param minMs the shortest time after which the head can be admitted
   * @param placeMs the shortest time after which a caller can be admitted who waits behind `ahead` units
   */
  constructor(
    readonly denial: Decision,
    readonly pauseMs: number,
    readonly minMs: number,
    readonly placeMs: (ahead: number, cost: number) => number,
  ) {}
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
  /** Whether an answer that came after a wait admits the caller. Default: each does. */
  isAdmitted?(answer: T): boolean
}

/** A caller who waits. */
export class Waiter<T, Limits> implements Entry, Link<Waiter<T, Limits>> {
  at = 0
  place = -1
  isWaiting = true
  before: Waiter<T, Limits> | undefined = undefined
  after: Waiter<T, Limits> | undefined = undefined
  stopWatching: (() => void) | undefined = undefined
  /** By how much the line was late when the waiter joined. */
  lateBefore = 0

  constructor(
    readonly line: Line<T, Limits>,
    readonly cost: number,
    readonly since: number,
    readonly deadline: number,
    readonly resolve: (outcome: WaitResult<T>) => void,
    readonly reject: (reason: unknown) => void,
  ) {}

  /** The deadline and what the line has lost since the waiter joined: by its place it was in time. */
  get extendedDeadline(): number {
    return this.deadline + Math.min(this.line.lateMs - this.lateBefore, MAX_GRACE_MS)
  }
}

/** The callers who wait for one key. As an {@link Entry}: when its head asks next. */
export class Line<T, Limits> extends Chain<Waiter<T, Limits>> implements Entry {
  at = 0
  place = -1
  /** The units that they wait for. */
  units = 0
  /** The limits with which the head was asked last. */
  askedWith: Limits
  /** A question of the head is under way. */
  isAsking = false
  /** The head is to ask once more as soon as it has its answer. */
  isWoken = false
  /** How many times in a row a head has been denied. */
  pauses = 0
  /** By how much heads were admitted later than they could be: timers fire late, and each delays all behind it. */
  lateMs = 0

  /**
   * @param limits those of the caller who joined last
   * @param later the head's last answer
   * @param laterAt when it came
   */
  constructor(
    readonly key: string,
    public limits: Limits,
    public later: Later,
    public laterAt: number,
  ) {
    super()
    this.askedWith = limits
  }

  override push(waiter: Waiter<T, Limits>): void {
    waiter.lateBefore = this.lateMs
    this.units += waiter.cost
    super.push(waiter)
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

  override drop(waiter: Waiter<T, Limits>): void {
    this.units -= waiter.cost
    super.drop(waiter)
  }
}

/** The longest delay of setTimeout; a longer one would fire at once. An early wake-up finds nothing due. */
const MAX_TIMER_MS = 2_147_483_647
/** Entries handled in one turn of the event loop, so that ten thousand due together do not block it. */
const MAX_AT_ONCE = 64
/** The longest delay of a timer that is kept: what is dropped unclosed is not kept alive for longer. */
const MAX_KEPT_MS = 1_000

/**
 * Calls a function for each entry when it falls due: any number of entries, one timer.
 */
export class Agenda<E extends Entry> {
  readonly #clock: Required<Clock>
  readonly #due: (entry: E) => void
  readonly #keepsTimer: boolean
  readonly #heap = new Heap<E>()
  #stopTimer: (() => void) | undefined
  #timerAt = Number.POSITIVE_INFINITY

  /**
   * @param due called with each entry that falls due, after its removal. Must not throw
   * @param keepsTimer whether the timer stays for a while after the last entry is removed: cheaper where entries come
   *   and go one by one. For clocks whose timers keep no process alive
   */
  constructor(clock: Required<Clock>, due: (entry: E) => void, keepsTimer = false) {
    this.#clock = clock
    this.#due = due
    this.#keepsTimer = keepsTimer
  }

  /** Adds the entry for this time, or moves it there. `Infinity` is never. */
  put(entry: E, at: number): void {
    if (entry.place >= 0) this.remove(entry)
    if (at === Number.POSITIVE_INFINITY) return
    this.#heap.put(entry, at)
    if (at < this.#timerAt) this.#arm()
  }

  /** The timer stays as it is while an entry is left: an early wake-up costs less than a new timer. */
  remove(entry: E): void {
    if (entry.place < 0) return
    this.#heap.remove(entry)
    if (this.#heap.first === undefined && !this.#keepsTimer) this.#disarm()
  }

  /** Removes all: none falls due any more. */
  clear(): void {
    for (let { first } = this.#heap; first !== undefined; first = this.#heap.first)
      this.remove(first)
    this.#disarm()
  }

  #arm(): void {
    this.#disarm()
    const { first } = this.#heap
    if (first === undefined) return
    const ms = first.at - this.#now()
    this.#timerAt = first.at
    // A clock that throws is noticed when this fires.
    const safe = ms > 0 ? Math.min(ms, this.#keepsTimer ? MAX_KEPT_MS : MAX_TIMER_MS) : 0
    this.#stopTimer = this.#clock.setTimer(() => this.#fire(), safe)
  }

  #disarm(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #fire(): void {
    this.#disarm()
    const now = this.#now()
    for (let seen = 0; seen < MAX_AT_ONCE; seen++) {
      const { first } = this.#heap
      // Written so that with a broken clock everything is due: the waiters then get its error.
      if (first === undefined || first.at > now) break
      this.remove(first)
      this.#due(first)
    }
    const next = this.#heap.first
    if (next !== undefined && next.at < this.#timerAt) this.#arm()
  }

  #now(): number {
    try {
      return this.#clock.now()
    } catch {
      return Number.NaN
    }
  }
}
