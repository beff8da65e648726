import { Deadlines, type Waiting } from '../remote/deadlines.ts'
import { StoreFailure } from '../remote/failure.ts'
import { Call, type Question } from './call.ts'

/** The wait is counted in parts, so that a process which is busy with its own start does not use it up. */
const PARTS = 8
/** A timer may be early by so much. */
const TIMER_MS = 2

/** A caller who waits for the first connection. */
export class Parked implements Waiting {
  readonly question: Question
  readonly #deadlines: Deadlines
  readonly #dueAt: number
  readonly #resolve: (numbers: readonly number[]) => void
  readonly #reject: (failure: StoreFailure) => void
  readonly #left: (caller: Parked) => void
  #call: Call | undefined
  #isGone = false

  constructor(asked: Asked, dueAt: number, left: (caller: Parked) => void) {
    this.question = asked.question
    this.#deadlines = asked.deadlines
    this.#resolve = asked.resolve
    this.#reject = asked.reject
    this.#dueAt = dueAt
    this.#left = left
  }

  get settled(): boolean {
    return this.#isGone || this.#call?.settled === true
  }

  /** The call that it becomes once Redis can be asked: with the rest of its wait, or the time of any call. */
  call(now: number): Call {
    const dueAt = Math.max(this.#dueAt, now + this.#deadlines.ms)
    const call = new Call(this.question, dueAt, this.#resolve, this.#reject)
    if (dueAt === this.#dueAt) this.#call = call
    else {
      this.#isGone = true
      this.#deadlines.add(call, now)
    }
    return call
  }

  turnAway(): void {
    this.#isGone = true
    this.#reject(new StoreFailure('disconnected'))
  }

  expire(): void {
    if (this.#call !== undefined) this.#call.expire()
    else {
      this.#left(this)
      this.turnAway()
    }
  }
}

/** How long and how many callers of one limiter may wait for the first connection. */
export class Connecting {
  readonly deadlines: Deadlines
  readonly maxPerKey: number
  readonly max: number
  /** Callers who wait. */
  waiting = 0

  constructor(ms: number, maxPerKey: number, max: number) {
    this.deadlines = new Deadlines(ms)
    this.maxPerKey = maxPerKey
    this.max = max
  }
}

/** What a caller asks, and where the answer goes. */
export interface Asked {
  readonly question: Question
  /** Within what it is answered once Redis can be asked. */
  readonly deadlines: Deadlines
  readonly resolve: (numbers: readonly number[]) => void
  readonly reject: (failure: StoreFailure) => void
}

/** The time before Redis has answered for the first time. Who asks then waits for it, within bounds. */
export class Start {
  /** Resolves when Redis has answered, or the wait for it is over. */
  readonly over: Promise<void>
  readonly #end: () => void
  readonly #giveUp: () => void
  readonly #parked = new Set<Parked>()
  readonly #perName = new Map<string, number>()
  #longestMs = 0
  #waitedMs = 0
  #timer: NodeJS.Timeout | undefined

  /** @param giveUp called when no connection could be had in time */
  constructor(giveUp: () => void) {
    this.#giveUp = giveUp
    let end = (): void => {}
    this.over = new Promise((resolve) => {
      end = resolve
    })
    this.#end = end
  }

  /** A limiter waits for so long, in milliseconds: the longest wait of all is the one that counts. */
  wait(ms: number): void {
    this.#longestMs = Math.max(this.#longestMs, ms)
    if (this.#timer === undefined) this.#nextPart()
  }

  /** @param connecting how long the caller's limiter lets it wait, and how many */
  park(asked: Asked, connecting: Connecting, now: number): void {
    const { name } = asked.question
    const waiting = this.#perName.get(name) ?? 0
    if (waiting >= connecting.maxPerKey || connecting.waiting >= connecting.max) {
      asked.reject(new StoreFailure('unavailable'))
      return
    }
    const { deadlines } = connecting
    const caller = new Parked(asked, now + deadlines.ms, (left) => {
      connecting.waiting--
      this.#forget(left)
      // Said before the caller is told: it may be the last thing that the process does. A limiter that is
      // closed ends only its own callers' wait.
      const isDue = performance.now() > now + deadlines.ms - TIMER_MS
      if (isDue && deadlines.ms >= this.#longestMs) this.#giveUp()
    })
    connecting.waiting++
    this.#perName.set(name, waiting + 1)
    this.#parked.add(caller)
    deadlines.add(caller, now)
  }

  /** The wait is over. Gives back who still waits. */
  finish(): readonly Parked[] {
    clearTimeout(this.#timer)
    const parked = [...this.#parked]
    this.#parked.clear()
    this.#perName.clear()
    this.#end()
    return parked
  }

  #forget(caller: Parked): void {
    this.#parked.delete(caller)
    const { name } = caller.question
    const left = (this.#perName.get(name) ?? 1) - 1
    if (left > 0) this.#perName.set(name, left)
    else this.#perName.delete(name)
  }

  #nextPart(): void {
    const ms = Math.min(this.#longestMs / PARTS, this.#longestMs - this.#waitedMs)
    this.#timer = setTimeout(() => {
      this.#waitedMs += ms
      if (this.#waitedMs < this.#longestMs) this.#nextPart()
      // What has arrived while the event loop was busy is read first.
      else setImmediate(this.#giveUp)
    }, ms).unref()
  }
}
