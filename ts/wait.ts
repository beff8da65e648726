import type { Clock } from './clock.ts'
import type { Decision } from './decision.ts'
import { mustBe } from './errors.ts'
import { RateLimitExceeded } from './exceeded.ts'
import { ownOptions } from './options.ts'

/** Options of `limiter.wait`. */
export interface WaitOptions {
  /** Units to charge. Default: 1. */
  readonly cost?: number | undefined
  /** Longest wait in milliseconds; past it the promise rejects, and nothing is charged. Default: no end. */
  readonly maxWaitMs?: number | undefined
  /** Gives up when aborted; nothing is charged then. Default: none. */
  readonly signal?: AbortSignal | undefined
}

/** What a line asks: charges and answers, or answers without charging. */
export interface Asked {
  check(key: string, cost: number): Decision
  peek(key: string, cost: number): Decision
}

const KNOWN = ['cost', 'maxWaitMs', 'signal']
/** setTimeout takes no more: beyond it fires at once. A wake-up that is early just asks again. */
const LONGEST_TIMER_MS = 2_147_483_647

/**
 * Lines of callers who wait until they are admitted: one line a key, first come first served.
 *
 * Only the head of a line asks the limiter, and it is charged in the moment it is admitted. So whoever
 * gives up before that was never charged, and nobody is overtaken by somebody with a smaller cost.
 */
export class Lines {
  readonly #lines = new Map<string, Line>()
  readonly #asked: Asked
  readonly #clock: Required<Clock>

  constructor(asked: Asked, clock: Clock | undefined) {
    this.#asked = asked
    this.#clock = withTimers(clock)
  }

  /** Joins the key's line. Throws at once what needs no waiting to be known. */
  wait(key: string, options: WaitOptions): Promise<Decision> {
    const { cost = 1, maxWaitMs = Number.POSITIVE_INFINITY, signal } = ownOptions(options, KNOWN)
    checkMaxWait(maxWaitMs)
    checkSignal(signal)
    const seen = this.#asked.peek(key, cost) // Throws for a wrong key or cost.
    signal?.throwIfAborted()
    if (!isWorthWaiting(seen, maxWaitMs)) throw new RateLimitExceeded(seen)
    return this.#line(key).join(cost, this.#clock.now() + maxWaitMs, signal)
  }

  /** Turns everybody away. */
  close(reason: unknown): void {
    for (const line of this.#lines.values()) line.close(reason)
  }

  #line(key: string): Line {
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    const line = new Line(key, this.#asked, this.#clock, () => this.#lines.delete(key))
    this.#lines.set(key, line)
    return line
  }
}

/** Somebody in a line, linked to both neighbours: anybody may leave at any time, also one of 100,000. */
interface Waiter {
  readonly cost: number
  readonly deadline: number
  readonly admit: (decision: Decision) => void
  readonly refuse: (reason: unknown) => void
  waiting: boolean
  before?: Waiter | undefined
  after?: Waiter | undefined
  stopTimer?: (() => void) | undefined
  stopListening?: (() => void) | undefined
}

/** The callers who wait for one key. */
class Line {
  readonly #key: string
  readonly #asked: Asked
  readonly #clock: Required<Clock>
  readonly #emptied: () => void
  #head: Waiter | undefined
  #tail: Waiter | undefined
  #stopTimer: (() => void) | undefined

  constructor(key: string, asked: Asked, clock: Required<Clock>, emptied: () => void) {
    this.#key = key
    this.#asked = asked
    this.#clock = clock
    this.#emptied = emptied
  }

  join(cost: number, deadline: number, signal: AbortSignal | undefined): Promise<Decision> {
    return new Promise((admit, refuse) => {
      const waiter: Waiter = { cost, deadline, admit, refuse, waiting: true }
      this.#push(waiter)
      this.#serve()
      if (this.#head !== waiter) this.#refuseIfFutile(waiter)
      if (!waiter.waiting) return
      this.#setDeadline(waiter)
      this.#listen(waiter, signal)
    })
  }

  close(reason: unknown): void {
    this.#stopTimer?.()
    while (this.#head !== undefined) this.#refuse(this.#head, reason)
  }

  /** Admits from the head of the line for as long as the limiter does, then waits for the next one. */
  #serve(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    while (this.#head !== undefined && this.#settle(this.#head));
  }

  /** Whether the head is done with, one way or the other. */
  #settle(head: Waiter): boolean {
    try {
      const decision = this.#charge(head.cost)
      if (decision.allowed) {
        this.#leave(head)
        head.admit(decision)
      } else if (isWorthWaiting(decision, this.#patience(head))) {
        const ms = Math.min(decision.retryAfterMs, LONGEST_TIMER_MS)
        this.#stopTimer = this.#clock.setTimer(() => this.#serve(), ms)
        return false
      } else this.#refuse(head, new RateLimitExceeded(decision))
    } catch (error) {
      // An injected clock may fail. Who waits is told so, and does not stand in others' way for ever.
      this.#refuse(head, error)
    }
    return true
  }

  /** Looks before it charges: waiting for one's turn is no offence that `blockFor` should punish. */
  #charge(cost: number): Decision {
    const seen = this.#asked.peek(this.#key, cost)
    return seen.allowed ? this.#asked.check(this.#key, cost) : seen
  }

  /** For those behind the head, whose own wait is at least as long as the head's. */
  #refuseIfFutile(waiter: Waiter): void {
    if (!waiter.waiting || this.#head === undefined) return
    const own = this.#asked.peek(this.#key, waiter.cost)
    const ahead = this.#asked.peek(this.#key, this.#head.cost)
    const longer = own.retryAfterMs > ahead.retryAfterMs ? own : ahead
    if (isWorthWaiting(longer, this.#patience(waiter))) return
    this.#refuse(waiter, new RateLimitExceeded(longer))
  }

  #setDeadline(waiter: Waiter): void {
    const patience = this.#patience(waiter)
    if (patience === Number.POSITIVE_INFINITY) return
    const ms = Math.min(patience, LONGEST_TIMER_MS)
    waiter.stopTimer = this.#clock.setTimer(() => this.#checkDeadline(waiter), ms)
  }

  /** At one instant being served goes before giving up. */
  #checkDeadline(waiter: Waiter): void {
    if (this.#patience(waiter) > 0) {
      this.#setDeadline(waiter)
      return
    }
    this.#serve()
    this.#refuseIfFutile(waiter)
  }

  #listen(waiter: Waiter, signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const abort = (): void => {
      const isHead = this.#head === waiter
      this.#refuse(waiter, signal.reason)
      if (isHead) this.#serve()
    }
    waiter.stopListening = onAbort(signal, abort)
  }

  #patience(waiter: Waiter): number {
    return waiter.deadline - this.#clock.now()
  }

  #refuse(waiter: Waiter, reason: unknown): void {
    this.#leave(waiter)
    waiter.refuse(reason)
  }

  #push(waiter: Waiter): void {
    waiter.before = this.#tail
    if (this.#tail === undefined) this.#head = waiter
    else this.#tail.after = waiter
    this.#tail = waiter
  }

  #leave(waiter: Waiter): void {
    if (!waiter.waiting) return
    waiter.waiting = false
    waiter.stopTimer?.()
    waiter.stopListening?.()
    const { before, after } = waiter
    if (before === undefined) this.#head = after
    else before.after = after
    if (after === undefined) this.#tail = before
    else after.before = before
    if (this.#head === undefined) this.#emptied()
  }
}

/** `retryAfterMs` is rounded up, so the true wait may be shorter, but by less than a millisecond. */
function isWorthWaiting({ allowed, retryAfterMs }: Decision, patienceMs: number): boolean {
  if (retryAfterMs === Number.POSITIVE_INFINITY) return false
  return allowed || retryAfterMs - 1 < patienceMs
}

/** The clock, with the system's timers if it has none of its own. */
export function withTimers(clock: Clock | undefined): Required<Clock> {
  return {
    now: () => (clock === undefined ? performance.now() : clock.now()),
    setTimer: (wake, ms) => {
      if (clock?.setTimer !== undefined) return clock.setTimer(wake, ms)
      const timer = setTimeout(wake, ms)
      return () => clearTimeout(timer)
    },
  }
}

/** @throws TypeError or RangeError unless it is a `maxWaitMs` */
export function checkMaxWait(value: unknown): void {
  const accepted = 'milliseconds from 0 on, or Infinity'
  if (typeof value !== 'number') throw new TypeError(mustBe('maxWaitMs', accepted, value))
  if (!(value >= 0)) throw new RangeError(mustBe('maxWaitMs', accepted, value))
}

/** @throws TypeError unless it is a signal, or none */
export function checkSignal(value: unknown): void {
  if (value === undefined || value instanceof AbortSignal) return
  throw new TypeError(mustBe('signal', 'an AbortSignal', value))
}

interface Audience {
  readonly aborts: Set<() => void>
  readonly listener: () => void
}

const AUDIENCES = new WeakMap<AbortSignal, Audience>()

/** Runs `abort` when the signal is aborted. However many wait on one signal, it has one listener. */
function onAbort(signal: AbortSignal, abort: () => void): () => void {
  const audience = AUDIENCES.get(signal) ?? newAudience()
  if (audience.aborts.size === 0) signal.addEventListener('abort', audience.listener)
  AUDIENCES.set(signal, audience)
  audience.aborts.add(abort)
  return () => {
    audience.aborts.delete(abort)
    if (audience.aborts.size === 0) signal.removeEventListener('abort', audience.listener)
  }
}

function newAudience(): Audience {
  const aborts = new Set<() => void>()
  const listener = (): void => {
    for (const abort of [...aborts]) abort()
  }
  return { aborts, listener }
}
