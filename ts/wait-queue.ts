import { type Clock, withTimers } from './clock.ts'
import { type Decision, deniedFor } from './decision.ts'
import { andThen, type MaybePromise } from './limiter.ts'
import {
  Agenda,
  type Caller,
  Later,
  Line,
  type QueueOptions,
  type Reason,
  Refused,
  type Source,
  Waiter,
  type WaitResult,
} from './wait-queue/line.ts'

/** Callers of one line that are served in one turn of the event loop. */
const MAX_SERVED_AT_ONCE = 64

/** How the wait of a caller ends. */
type Outcome<T> = MaybePromise<WaitResult<T>>

/** What a caller asks for, until `deadline` on the queue's clock. */
interface Request<Limits> {
  readonly limits: Limits
  readonly key: string
  readonly cost: number
  readonly deadline: number
  readonly caller: Caller | undefined
}

/**
 * Callers who wait until they are admitted: one line per key, first come first served.
 *
 * Only the head of a line asks, and it is charged in the moment it is admitted. So a caller who gives up
 * before was never charged, and none is overtaken by one with a smaller cost. A freed unit wakes one waiter.
 * Whether waiting can help is decided on arrival, by the place in the line. Joining, leaving and expiring
 * cost the same for the first and for the last of a line; all lines together have two timers.
 *
 * A waiter takes about 0.4 KB, and a caller of `limiter.wait` 1 KB with its promises. Callers beyond
 * `maxWaitersPerKey` for a key, or `maxWaiters` in all, are refused at once.
 */
export class WaitQueue<T, Limits> {
  readonly #source: Source<T, Limits>
  readonly #clock: Required<Clock>
  readonly #options: QueueOptions
  readonly #lines = new Map<string, Line<T, Limits>>()
  readonly #turns: Agenda<Line<T, Limits>>
  readonly #deadlines: Agenda<Waiter<T, Limits>>
  /** How many callers wait, here and in queues with the same room. */
  readonly #room: { taken: number }

  constructor(source: Source<T, Limits>, options: QueueOptions) {
    this.#source = source
    this.#clock = withTimers(options.clock)
    this.#options = options
    this.#room = options.room ?? { taken: 0 }
    this.#turns = new Agenda(this.#clock, (line) => this.#serve(line))
    this.#deadlines = new Agenda(this.#clock, (waiter) => this.#expire(waiter))
  }

  /** How many callers wait. */
  get size(): number {
    return this.#room.taken
  }

  /** For how many keys callers wait. */
  get keys(): number {
    return this.#lines.size
  }

  /**
   * Asks and, if need be, waits for `maxWaitMs` at most. Answers at once if no wait is needed and the source does.
   *
   * @param limits count from now on for all who wait for the key
   */
  join(limits: Limits, key: string, cost: number, maxWaitMs: number, caller?: Caller): Outcome<T> {
    const request = { limits, key, cost, deadline: this.#clock.now() + maxWaitMs, caller }
    const line = this.#lines.get(key)
    if (line?.head === undefined) return this.#ask(request)
    line.limits = limits
    if (cost <= line.head.cost) return this.#park(request, line, line.later)
    return andThen(this.#source.peek(limits, key, cost), (seen) => this.#parkDearer(request, seen))
  }

  /** The head of the key's line asks now: something may have changed. */
  wake(key: string): void {
    const line = this.#lines.get(key)
    if (line !== undefined) this.#serve(line)
  }

  /** Rejects all waiters with the reason. */
  close(reason: unknown): void {
    for (const line of [...this.#lines.values()]) {
      for (let { head } = line; head !== undefined; head = line.head) {
        this.#options.counter?.gaveUp(line.key)
        this.#remove(head).reject(reason)
      }
    }
  }

  /** There is no line yet. */
  #ask(request: Request<Limits>): Outcome<T> {
    const { limits, key, cost, caller } = request
    const asked = this.#source.ask(limits, key, cost, 0)
    if (!(asked instanceof Promise)) {
      return asked instanceof Later ? this.#parkFirst(request, asked) : asked
    }
    return asked.then((answer) => {
      if (answer instanceof Later) return this.#parkFirst(request, answer)
      if (caller?.isGone !== true) return answer
      return this.#refused(key, this.#source.giveBack(limits, key, cost, answer), 'gone')
    })
  }

  /** Begins a line, unless another caller has begun one meanwhile. */
  #parkFirst(request: Request<Limits>, later: Later): Outcome<T> {
    const { limits, key } = request
    const line = this.#lines.get(key) ?? new Line<T, Limits>(key, limits, later, this.#clock.now())
    return this.#park(request, line, later)
  }

  /** It costs more than the head of the line: it waits longer, or for ever. */
  #parkDearer(request: Request<Limits>, seen: Decision): Outcome<T> {
    if (seen.retryAfterMs === Number.POSITIVE_INFINITY) {
      return this.#refused(request.key, seen, 'late')
    }
    const line = this.#lines.get(request.key)
    if (line === undefined) return this.#ask(request)
    const { pauseMs, minMs, placeMs } = line.later
    const ownMs = Math.max(minMs, seen.retryAfterMs, 1)
    return this.#park(request, line, new Later(deniedFor(seen, 1), pauseMs, ownMs, placeMs))
  }

  /**
   * Gives the caller a place in the line, unless that is known to be of no use.
   *
   * @param later what holds for its cost
   */
  #park(request: Request<Limits>, line: Line<T, Limits>, later: Later): Outcome<T> {
    const now = this.#clock.now()
    const { limits, cost, deadline, caller } = request
    const reason = this.#reasonAgainst(request, line, later, now)
    if (reason !== undefined) {
      const denial =
        later === line.later ? this.#lastDenial(line) : this.#source.aged(limits, later.denial, 0)
      return this.#refused(line.key, denial, reason)
    }
    return new Promise((resolve, reject) => {
      const waiter = new Waiter<T, Limits>(line, cost, now, deadline, resolve, reject)
      if (line.head === undefined) {
        this.#lines.set(line.key, line)
        this.#turns.put(line, now + later.pauseMs)
      }
      line.limits = limits
      line.push(waiter)
      this.#room.taken++
      this.#options.counter?.queued?.(1)
      this.#deadlines.put(waiter, waiter.deadline)
      waiter.stopWatching = caller?.watch(() => {
        if (waiter.isWaiting) this.#refuse(waiter, 'gone')
      })
    })
  }

  /** Why waiting is of no use, if so. */
  #reasonAgainst(
    { caller, cost, deadline }: Request<Limits>,
    line: Line<T, Limits>,
    later: Later,
    now: number,
  ): Reason | undefined {
    if (caller?.isGone === true) return 'gone'
    const own = later.minMs + (later === line.later ? line.laterAt : now)
    const place = line.size > 0 ? line.laterAt + line.later.placeMs(line.units, cost) : own
    if (!isInTime(Math.max(own, place), deadline)) return 'late'
    if (line.size >= this.#options.maxWaitersPerKey) return 'crowded-key'
    return this.#room.taken >= this.#options.maxWaiters ? 'crowded' : undefined
  }

  /** Admits from the head of the line for as long as the limits do, then waits for the next turn. */
  #serve(line: Line<T, Limits>): void {
    if (line.isAsking) {
      line.isWoken = true
      return
    }
    let served = 0
    for (let { head } = line; head !== undefined; head = line.head) {
      if (served++ >= MAX_SERVED_AT_ONCE) {
        this.#turns.put(line, this.#clock.now())
        return
      }
      const { limits, key, pauses } = line
      try {
        const asked = this.#source.ask(limits, key, head.cost, pauses)
        if (asked instanceof Promise) {
          this.#serveWhenAnswered(head, limits, asked)
          return
        }
        if (!this.#settle(head, limits, asked)) return
      } catch (error) {
        // An injected clock may throw. The waiter gets the error, and does not block the line for ever.
        this.#remove(head).reject(error)
      }
    }
  }

  #serveWhenAnswered(head: Waiter<T, Limits>, limits: Limits, asked: Promise<T | Later>): void {
    const { line } = head
    line.isAsking = true
    line.isWoken = false
    const goOn = (isDone: boolean): void => {
      line.isAsking = false
      if (isDone || line.isWoken || line.head !== head) this.#serve(line)
    }
    asked.then(
      (answer) => goOn(this.#settle(head, limits, answer)),
      (error) => {
        if (head.isWaiting) this.#remove(head).reject(error)
        goOn(true)
      },
    )
  }

  /** Whether the head is done with, one way or the other. */
  #settle(head: Waiter<T, Limits>, limits: Limits, asked: T | Later): boolean {
    const { line } = head
    const now = this.#clock.now()
    if (!(asked instanceof Later)) {
      line.noteAdmission(now)
      if (head.isWaiting) {
        const isAdmitted = this.#source.isAdmitted?.(asked) ?? true
        if (isAdmitted) this.#options.counter?.waited(now - head.since)
        this.#remove(head).resolve(asked)
      } else this.#source.giveBack(limits, line.key, head.cost, asked)
      return true
    }
    line.noteDenial(asked, now, limits)
    if (!head.isWaiting) return true
    const deadline = head.extendedDeadline
    if (deadline <= now || !isInTime(now + asked.minMs, deadline)) {
      this.#remove(head).resolve(this.#refused(line.key, asked.denial, 'late'))
      return true
    }
    this.#turns.put(line, now + asked.pauseMs)
    return false
  }

  /** A caller whose turn comes at the instant of its deadline is served. */
  #expire(waiter: Waiter<T, Limits>): void {
    const { line } = waiter
    if (!line.isAsking && !(line.at > this.#clock.now())) this.#serve(line)
    if (!waiter.isWaiting) return
    // A question for it is under way, and its answer decides.
    if (line.isAsking && line.head === waiter) return
    const deadline = waiter.extendedDeadline
    const isNext = line.head === waiter && isInTime(line.at, deadline)
    if (isNext && this.#clock.now() < deadline) this.#deadlines.put(waiter, deadline)
    else this.#refuse(waiter, 'late')
  }

  #refuse(waiter: Waiter<T, Limits>, reason: Reason): void {
    const { line, cost } = waiter
    const wasHead = line.head === waiter
    this.#remove(waiter).resolve(this.#refused(line.key, this.#lastDenial(line), reason))
    // The next one may cost less.
    if (wasHead && line.head !== undefined && line.head.cost < cost) this.#serve(line)
  }

  #refused(key: string, denial: Decision, reason: Reason): Refused {
    // Denials are counted by those who asked: some go on to ask in another way.
    if (reason === 'gone') this.#options.counter?.gaveUp(key)
    return new Refused(denial, reason)
  }

  /** The head's last denial as it reads now. */
  #lastDenial({ later, laterAt, askedWith }: Line<T, Limits>): Decision {
    return this.#source.aged(askedWith, later.denial, this.#clock.now() - laterAt)
  }

  /** Takes the waiter, who is then to be told the outcome, from its line. */
  #remove(waiter: Waiter<T, Limits>): Waiter<T, Limits> {
    const { line } = waiter
    line.drop(waiter)
    this.#room.taken--
    this.#options.counter?.queued?.(-1)
    this.#deadlines.remove(waiter)
    waiter.stopWatching?.()
    if (line.head === undefined) {
      this.#turns.remove(line)
      if (this.#lines.get(line.key) === line) this.#lines.delete(line.key)
    }
    return waiter
  }
}

/** Times are rounded up, so the true wait may be shorter, but by less than a millisecond. */
function isInTime(at: number, deadline: number): boolean {
  return at - 1 < deadline
}
