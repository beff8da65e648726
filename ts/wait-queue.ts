import { type Clock, withTimers } from './clock.ts'
import { type Decision, deniedFor } from './decision.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { Agenda } from './wait-queue/agenda.ts'
import { Later, Line, type Outcome, type Reason, Refused, Waiter } from './wait-queue/line.ts'
import type { Caller, QueueOptions, Room } from './wait-queue/options.ts'

export { Later, type Outcome, Refused } from './wait-queue/line.ts'
export type { Caller, QueueOptions, Room } from './wait-queue/options.ts'

/** What a queue asks for its callers. Answers at once where the counters are in this process. */
export interface Source<T> {
  /**
   * Charges, or says that it is not the time yet. Any other answer is final. A denial begins no block: waiting
   * for one's turn is no offence.
   *
   * @param pauses how many times in a row the head of the line was told to wait before
   */
  ask(key: string, cost: number, pauses: number): MaybePromise<T | Later>
  /** What the limits say of a cost, without charging it. */
  peek(key: string, cost: number): MaybePromise<Decision>
  /** A denial as it reads some milliseconds later, if nothing has happened to the key since. */
  aged(denial: Decision, ms: number): Decision
  /** Gives back what was charged for a caller who had gone by then. Answers with what had been decided. */
  giveBack(key: string, cost: number, answer: T): Decision
}

/** Callers of one line that are seen to in one turn of the event loop. */
const MOST_AT_ONCE = 64

/**
 * Callers who wait until they are admitted: one line a key, first come first served.
 *
 * Only the head of a line asks, and it is charged in the moment it is admitted. So a caller who gives up
 * before was never charged, and no caller is overtaken by one with a smaller cost. A unit wakes one waiter.
 * Whether waiting can help is decided on arrival, by the place in the line. Joining, leaving and expiring
 * cost the same for the first and for the last of a line; all lines together have two timers.
 *
 * A waiter takes about 0.4 KB, and a caller of `limiter.wait` 1 KB with its promises. Beyond `maxWaitersPerKey` for a key, or `maxWaiters` in all, a caller is
 * refused at once.
 */
export class WaitQueue<T> {
  readonly #source: Source<T>
  readonly #clock: Required<Clock>
  readonly #maxPerKey: number
  readonly #max: number
  readonly #lines = new Map<string, Line<T>>()
  readonly #turns: Agenda<Line<T>>
  readonly #deadlines: Agenda<Waiter<T>>
  readonly #room: Room
  #size = 0

  constructor(source: Source<T>, options: QueueOptions) {
    const { clock, maxWaitersPerKey, maxWaiters, room = { taken: 0 } } = options
    this.#source = source
    this.#clock = withTimers(clock)
    this.#maxPerKey = maxWaitersPerKey
    this.#max = maxWaiters
    this.#room = room
    this.#turns = new Agenda(this.#clock, (line) => this.#serve(line))
    this.#deadlines = new Agenda(this.#clock, (waiter) => this.#expire(waiter))
  }

  /** Callers who wait. */
  get size(): number {
    return this.#size
  }

  /** Keys for which callers wait. */
  get keys(): number {
    return this.#lines.size
  }

  /**
   * Asks, and if need be waits, for `maxWaitMs` at most. Answers at once what needs no waiting to be known,
   * if the source does.
   */
  join(key: string, cost: number, maxWaitMs: number, caller?: Caller): MaybePromise<Outcome<T>> {
    return this.#join(key, cost, this.#clock.now() + maxWaitMs, caller)
  }

  /** The head of the key's line asks now: something may have changed. */
  wake(key: string): void {
    const line = this.#lines.get(key)
    if (line !== undefined) this.#serve(line)
  }

  /** Turns all waiters away. */
  close(reason: unknown): void {
    for (const line of [...this.#lines.values()]) {
      for (let { head } = line; head !== undefined; head = line.head) this.#fail(head, reason)
    }
  }

  #join(key: string, cost: number, deadline: number, caller?: Caller): MaybePromise<Outcome<T>> {
    const line = this.#lines.get(key)
    if (line?.head === undefined) return this.#ask(key, cost, deadline, caller)
    if (cost <= line.head.cost) return this.#park(line, line.later, cost, deadline, caller)
    // It waits longer than the head, or for ever.
    return after(this.#source.peek(key, cost), (seen) => {
      if (seen.retryAfterMs === Number.POSITIVE_INFINITY) return new Refused(seen, 'late')
      const known = this.#lines.get(key)
      if (known === undefined) return this.#ask(key, cost, deadline, caller)
      const ms = Math.max(seen.retryAfterMs, 1)
      const { pauseMs, leastMs, placeMs } = known.later
      const own = new Later(deniedFor(seen, 1), pauseMs, Math.max(leastMs, ms), placeMs)
      return this.#park(known, own, cost, deadline, caller)
    })
  }

  #ask(key: string, cost: number, deadline: number, caller?: Caller): MaybePromise<Outcome<T>> {
    const next = (asked: T | Later): MaybePromise<Outcome<T>> => {
      if (!(asked instanceof Later)) return asked
      const line = this.#lines.get(key) ?? new Line<T>(key, asked, this.#clock.now())
      return this.#park(line, asked, cost, deadline, caller)
    }
    const asked = this.#source.ask(key, cost, 0)
    if (!(asked instanceof Promise)) return next(asked)
    return asked.then((answer) => {
      if (answer instanceof Later || caller?.isGone !== true) return next(answer)
      return new Refused(this.#source.giveBack(key, cost, answer), 'gone')
    })
  }

  /** Gives the caller a place in the line, unless that is known to be of no use. */
  #park(
    line: Line<T>,
    later: Later,
    cost: number,
    deadline: number,
    caller: Caller | undefined,
  ): MaybePromise<Outcome<T>> {
    const now = this.#clock.now()
    const ageMs = later === line.later ? now - line.toldAt : 0
    const reason = this.#objection(line, later, cost, deadline, caller, now)
    if (reason !== undefined) return new Refused(this.#source.aged(later.denial, ageMs), reason)
    return new Promise((resolve, reject) => {
      const waiter = new Waiter<T>(line, cost, deadline, resolve, reject)
      if (line.head === undefined) {
        this.#lines.set(line.key, line)
        this.#turns.put(line, now + later.pauseMs)
      }
      line.push(waiter)
      this.#size++
      this.#room.taken++
      this.#deadlines.put(waiter, deadline)
      waiter.stopWatching = caller?.watch(() => this.#goneAway(waiter))
    })
  }

  /** Why waiting is of no use, if so. */
  #objection(
    line: Line<T>,
    later: Later,
    cost: number,
    deadline: number,
    caller: Caller | undefined,
    now: number,
  ): Reason | undefined {
    if (caller?.isGone === true) return 'gone'
    const least = later.leastMs + (later === line.later ? line.toldAt : now)
    const place = line.size > 0 ? line.toldAt + line.later.placeMs(line.units, cost) : least
    if (!isInTime(Math.max(least, place), deadline)) return 'late'
    if (line.size >= this.#maxPerKey) return 'crowded-key'
    return this.#room.taken >= this.#max ? 'crowded' : undefined
  }

  /** Admits from the head of the line for as long as the limits do, then waits for the next one. */
  #serve(line: Line<T>): void {
    if (line.isAsking) {
      line.isWoken = true
      return
    }
    let served = 0
    for (let { head } = line; head !== undefined; head = line.head) {
      if (served++ >= MOST_AT_ONCE) {
        this.#turns.put(line, this.#clock.now())
        return
      }
      const { key, pauses } = line
      try {
        const asked = this.#source.ask(key, head.cost, pauses)
        if (asked instanceof Promise) {
          this.#serveLater(line, head, asked)
          return
        }
        if (!this.#settle(line, head, asked)) return
      } catch (error) {
        // An injected clock may fail. The waiter is told so, and does not stand in others' way for ever.
        this.#fail(head, error)
      }
    }
  }

  #serveLater(line: Line<T>, head: Waiter<T>, asked: Promise<T | Later>): void {
    line.isAsking = true
    line.isWoken = false
    const goOn = (isDone: boolean): void => {
      line.isAsking = false
      if (isDone || line.isWoken || line.head !== head) this.#serve(line)
    }
    asked.then(
      (answer) => goOn(this.#settle(line, head, answer)),
      (error) => {
        if (head.isWaiting) this.#fail(head, error)
        goOn(true)
      },
    )
  }

  /** Whether the head is done with, one way or the other. */
  #settle(line: Line<T>, head: Waiter<T>, asked: T | Later): boolean {
    if (!(asked instanceof Later)) {
      line.pauses = 0
      line.noteAdmission(this.#clock.now())
      if (head.isWaiting) this.#resolve(head, asked)
      else this.#source.giveBack(line.key, head.cost, asked)
      return true
    }
    line.later = asked
    line.toldAt = this.#clock.now()
    line.pauses++
    if (!head.isWaiting) return true
    const deadline = head.forgivingDeadline
    const isOver = deadline <= line.toldAt
    if (isOver || !isInTime(line.toldAt + asked.leastMs, deadline)) {
      this.#resolve(head, new Refused(asked.denial, 'late'))
      return true
    }
    this.#turns.put(line, line.toldAt + asked.pauseMs)
    return false
  }

  /** At one instant being served goes before giving up. */
  #expire(waiter: Waiter<T>): void {
    const { line } = waiter
    if (!line.isAsking && !(line.at > this.#clock.now())) this.#serve(line)
    if (!waiter.isWaiting) return
    // What is under way for it decides.
    if (line.isAsking && line.head === waiter) return
    const deadline = waiter.forgivingDeadline
    const isNext = line.head === waiter && isInTime(line.at, deadline)
    if (isNext && this.#clock.now() < deadline) this.#deadlines.put(waiter, deadline)
    else this.#refuse(waiter, 'late')
  }

  #goneAway(waiter: Waiter<T>): void {
    if (waiter.isWaiting) this.#refuse(waiter, 'gone')
  }

  #refuse(waiter: Waiter<T>, reason: Reason): void {
    const { line } = waiter
    const wasHead = line.head === waiter
    const denial = this.#source.aged(line.later.denial, this.#clock.now() - line.toldAt)
    this.#resolve(waiter, new Refused(denial, reason))
    // The next one may cost less.
    if (wasHead && line.head !== undefined && line.head.cost < waiter.cost) this.#serve(line)
  }

  #resolve(waiter: Waiter<T>, outcome: Outcome<T>): void {
    this.#leave(waiter)
    waiter.resolve(outcome)
  }

  #fail(waiter: Waiter<T>, reason: unknown): void {
    this.#leave(waiter)
    waiter.reject(reason)
  }

  #leave(waiter: Waiter<T>): void {
    const { line } = waiter
    line.drop(waiter)
    this.#size--
    this.#room.taken--
    this.#deadlines.remove(waiter)
    waiter.stopWatching?.()
    if (line.head !== undefined) return
    this.#turns.remove(line)
    if (this.#lines.get(line.key) === line) this.#lines.delete(line.key)
  }
}

/** Times are rounded up, so the true wait may be shorter, but by less than a millisecond. */
function isInTime(at: number, deadline: number): boolean {
  return at - 1 < deadline
}

/** Goes on at once with what is here at once. */
function after<T, R>(
  answer: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return answer instanceof Promise ? answer.then(next) : next(answer)
}
