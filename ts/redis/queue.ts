import type { Clock } from '../clock.ts'
import { type Decision, deniedFor } from '../decision.ts'
import { RateLimitExceeded } from '../exceeded.ts'
import { ownOptions } from '../options.ts'
import { checkMaxWait, checkSignal, type WaitOptions, withTimers } from '../wait.ts'
import { checkWhole } from './argument.ts'

/** What a queue asks: charges and answers, or answers without charging. */
export interface Asked {
  check(key: string, cost: number): Promise<Decision>
  peek(key: string, cost: number): Promise<Decision>
}

/** setTimeout takes no more: beyond it fires at once. A wake-up that is early just asks again. */
const LONGEST_TIMER_MS = 2_147_483_647

/** Somebody who waits to be admitted. */
interface Turn {
  readonly key: string
  readonly cost: number
  readonly deadline: number
  /** Aborted by the caller's signal, or when the limiter is closed. */
  readonly signal: AbortSignal
}

/**
 * Callers who wait until they are admitted, one queue a key: each begins to ask when the one before it is
 * done. Only the first of a queue asks Redis, and looks before it charges.
 */
export class Queues {
  readonly #asked: Asked
  readonly #clock: Required<Clock>
  readonly #last = new Map<string, Promise<unknown>>()
  readonly #closing = new AbortController()

  constructor(asked: Asked, clock: Clock | undefined) {
    this.#asked = asked
    this.#clock = withTimers(clock)
  }

  async wait(key: string, options: WaitOptions): Promise<Decision> {
    const own = ownOptions(options, ['cost', 'maxWaitMs', 'signal'])
    const { cost = 1, maxWaitMs = Number.POSITIVE_INFINITY, signal } = own
    checkWhole(cost, 'cost')
    checkMaxWait(maxWaitMs)
    checkSignal(signal)
    const ends = [this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    const deadline = this.#clock.now() + maxWaitMs
    return this.#join({ key, cost, deadline, signal: AbortSignal.any(ends) })
  }

  /** Turns everybody away. */
  close(reason: unknown): void {
    this.#closing.abort(reason)
  }

  #join(turn: Turn): Promise<Decision> {
    const before = this.#last.get(turn.key)
    const served = this.#serve(turn, before)
    // Whoever gives up leaves at once, and those behind still wait for those before.
    const done = Promise.allSettled([before, served]).then(() => {
      if (this.#last.get(turn.key) === done) this.#last.delete(turn.key)
    })
    this.#last.set(turn.key, done)
    return served
  }

  async #serve(turn: Turn, before: Promise<unknown> | undefined): Promise<Decision> {
    turn.signal.throwIfAborted()
    const seen = await this.#look(turn)
    if (before !== undefined) await this.#awaitTurn(turn, before)
    return before === undefined && seen.allowed ? this.#charge(turn) : this.#ask(turn)
  }

  /** Looks before it charges: waiting for one's turn is no offence that `blockFor` should punish. */
  async #ask(turn: Turn): Promise<Decision> {
    for (;;) {
      const seen = await this.#look(turn)
      if (seen.allowed) return this.#charge(turn)
      await this.#pause(turn, seen.retryAfterMs)
    }
  }

  /** @throws RateLimitExceeded unless waiting would help */
  async #look(turn: Turn): Promise<Decision> {
    const seen = await this.#asked.peek(turn.key, turn.cost)
    turn.signal.throwIfAborted()
    const patience = turn.deadline - this.#clock.now()
    const hopeless = seen.retryAfterMs === Number.POSITIVE_INFINITY
    if (hopeless || (!seen.allowed && seen.retryAfterMs - 1 >= patience)) {
      throw new RateLimitExceeded(seen)
    }
    return seen
  }

  /** Somebody else may have been faster; the wait goes on then. */
  async #charge(turn: Turn): Promise<Decision> {
    const decision = await this.#asked.check(turn.key, turn.cost)
    return decision.allowed ? decision : this.#ask(turn)
  }

  async #awaitTurn(turn: Turn, before: Promise<unknown>): Promise<void> {
    const patience = turn.deadline - this.#clock.now()
    await this.#pause(turn, patience, before)
    if (this.#clock.now() < turn.deadline) return
    const seen = await this.#asked.peek(turn.key, turn.cost)
    throw new RateLimitExceeded(deniedFor(seen, 1))
  }

  /** For so long, or until what is waited for is done. Rejects when the turn is given up. */
  #pause({ signal }: Turn, ms: number, done?: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        end()
        resolve()
      }
      const giveUp = (): void => {
        end()
        reject(signal.reason)
      }
      const stopTimer = this.#timer(wake, ms)
      const end = (): void => {
        stopTimer()
        signal.removeEventListener('abort', giveUp)
      }
      signal.addEventListener('abort', giveUp)
      void done?.then(wake)
    })
  }

  #timer(wake: () => void, ms: number): () => void {
    if (ms === Number.POSITIVE_INFINITY) return () => {}
    return this.#clock.setTimer(wake, Math.min(ms, LONGEST_TIMER_MS))
  }
}
