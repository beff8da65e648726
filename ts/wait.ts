import type { Clock } from './clock.ts'
import type { Decision } from './decision.ts'
import { mustBe } from './errors.ts'
import { RateLimitExceeded } from './exceeded.ts'

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

interface Waiter {
  readonly cost: number
  readonly deadline: number
  readonly admit: (decision: Decision) => void
  readonly refuse: (reason: unknown) => void
}

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

  /** Joins the key's line. */
  wait(key: string, options: WaitOptions): Promise<Decision> {
    const { cost = 1, maxWaitMs = Number.POSITIVE_INFINITY, signal } = options
    checkMaxWait(maxWaitMs)
    checkSignal(signal)
    this.#asked.peek(key, cost) // A wrong key or cost throws here, before anybody has to wait for it.
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const deadline = this.#clock.now() + maxWaitMs
      this.#enter(key, { cost, deadline, admit: resolve, refuse: reject }, signal)
    })
  }

  /** Turns everybody away. */
  close(reason: unknown): void {
    for (const line of this.#lines.values()) line.close(reason)
    this.#lines.clear()
  }

  #enter(key: string, waiter: Waiter, signal: AbortSignal | undefined): void {
    const line = this.#lines.get(key) ?? new Line(key, this.#asked, this.#clock)
    this.#lines.set(key, line)
    const forget = (): void => {
      if (line.empty) this.#lines.delete(key)
    }
    line.join(waiter, signal, forget)
  }
}

/** The callers who wait for one key. */
class Line {
  readonly #key: string
  readonly #asked: Asked
  readonly #clock: Required<Clock>
  readonly #waiting: Waiter[] = []
  #stopTimer: (() => void) | undefined

  constructor(key: string, asked: Asked, clock: Required<Clock>) {
    this.#key = key
    this.#asked = asked
    this.#clock = clock
  }

  get empty(): boolean {
    return this.#waiting.length === 0
  }

  join(waiter: Waiter, signal: AbortSignal | undefined, left: () => void): void {
    const leave = (): void => {
      signal?.removeEventListener('abort', abort)
      stopDeadline?.()
      left()
    }
    const guarded: Waiter = {
      cost: waiter.cost,
      deadline: waiter.deadline,
      admit: (decision) => {
        leave()
        waiter.admit(decision)
      },
      refuse: (reason) => {
        leave()
        waiter.refuse(reason)
      },
    }
    const abort = (): void => this.#giveUp(guarded, signal?.reason)
    signal?.addEventListener('abort', abort)
    this.#waiting.push(guarded)
    const stopDeadline = this.#setDeadline(guarded)
    if (this.#waiting[0] === guarded) this.#serve()
  }

  close(reason: unknown): void {
    this.#stopTimer?.()
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(reason)
  }

  /** Admits from the head of the line for as long as the limiter does, then waits for the next one. */
  #serve(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const decision = this.#asked.check(this.#key, head.cost)
      if (!decision.allowed && this.#canWait(head, decision)) {
        this.#sleep(decision)
        return
      }
      this.#waiting.shift()
      if (decision.allowed) head.admit(decision)
      else head.refuse(new RateLimitExceeded(decision))
    }
  }

  #canWait(waiter: Waiter, { retryAfterMs }: Decision): boolean {
    return (
      retryAfterMs !== Number.POSITIVE_INFINITY &&
      this.#clock.now() + retryAfterMs <= waiter.deadline
    )
  }

  #sleep({ retryAfterMs }: Decision): void {
    const ms = Math.min(retryAfterMs, LONGEST_TIMER_MS)
    this.#stopTimer = this.#clock.setTimer(() => this.#serve(), ms)
  }

  /** The head knows how long it has to wait; those behind it only learn by waiting. */
  #setDeadline(waiter: Waiter): (() => void) | undefined {
    const left = waiter.deadline - this.#clock.now()
    if (left > LONGEST_TIMER_MS || this.#waiting[0] === waiter) return undefined
    const late = (): void => {
      const { cost } = waiter
      this.#giveUp(waiter, new RateLimitExceeded(this.#asked.peek(this.#key, cost)))
    }
    return this.#clock.setTimer(late, left)
  }

  #giveUp(waiter: Waiter, reason: unknown): void {
    const index = this.#waiting.indexOf(waiter)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    waiter.refuse(reason)
    if (index === 0) this.#serve()
  }
}

function withTimers(clock: Clock | undefined): Required<Clock> {
  return {
    now: () => (clock === undefined ? performance.now() : clock.now()),
    setTimer: (wake, ms) => {
      if (clock?.setTimer !== undefined) return clock.setTimer(wake, ms)
      const timer = setTimeout(wake, ms)
      return () => clearTimeout(timer)
    },
  }
}

function checkMaxWait(value: unknown): void {
  const accepted = 'milliseconds from 0 on, or Infinity'
  if (typeof value !== 'number') throw new TypeError(mustBe('maxWaitMs', accepted, value))
  if (!(value >= 0)) throw new RangeError(mustBe('maxWaitMs', accepted, value))
}

function checkSignal(value: unknown): void {
  if (value === undefined || value instanceof AbortSignal) return
  throw new TypeError(mustBe('signal', 'an AbortSignal', value))
}
