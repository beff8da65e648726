import type { Decision } from '../decision.ts'
import { agedReply } from './reply.ts'

/** Denied keys that are remembered at once; the oldest make room. */
const ROOM = 10_000
/** A key longer than this is not remembered: together they would take too much memory. */
const LONGEST_KEY = 1_024

interface Denial {
  readonly decision: Decision
  /** Until when the key is certain to be denied. */
  readonly until: number
  /** When the decision was heard: its times count from here, and so are never too short. */
  readonly at: number
}

/**
 * Keys that Redis has denied, until the time it named: for so long nobody needs to ask it.
 *
 * Only denials of one unit are kept. They say that nothing is left until then; what a greater cost has to
 * wait for, Redis has to be asked. Times are those of `performance.now()`, or of an injected clock.
 */
export class Denials {
  readonly #longestMs: number
  readonly #limits: number
  readonly #known = new Map<string, Denial>()

  /**
   * @param longestMs how long a denial is believed at most; Infinity for as long as Redis said
   * @param limits how many limits a decision is about
   */
  constructor(longestMs: number, limits: number) {
    this.#longestMs = longestMs
    this.#limits = limits
  }

  /** The denial that Redis would answer at `now`. */
  find(key: string, now: number): Decision | undefined {
    const denial = this.#known.get(key)
    if (denial === undefined) return undefined
    if (now < denial.until) return agedReply(denial.decision, now - denial.at, this.#limits)
    this.#known.delete(key)
    return undefined
  }

  /** Whether there is anything to be found. */
  get any(): boolean {
    return this.#known.size > 0
  }

  /**
   * Remembers a denial of one unit.
   *
   * @param ms how long the key is certain to be denied, rounded up to a millisecond
   * @param askedAt when Redis was asked: what it says holds from then on
   * @param now when it answered
   */
  remember(key: string, decision: Decision, ms: number, askedAt: number, now: number): void {
    const until = askedAt + Math.min(ms - 1, this.#longestMs)
    if (!(until > now) || key.length > LONGEST_KEY) return
    this.#known.delete(key)
    if (this.#known.size >= ROOM) this.#forgetOldest()
    this.#known.set(key, { decision, until, at: now })
  }

  forget(key: string): void {
    this.#known.delete(key)
  }

  #forgetOldest(): void {
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}
