import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { type Decision, deniedFor } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import { type Limiter, type LimitStatus, readiness, type StoreStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'
import { RateLimiter } from '../rate-limiter.ts'
import type { WaitOptions } from '../wait.ts'
import type { Caller, Outcome } from '../wait-queue.ts'
import type { OpenCompanion } from './companions.ts'

/** How long an offence is remembered once its block is over. */
const MEMORY_MS = 86_400_000
const MOST_MEMORY_MS = 365 * 86_400_000
const MOST_STRIKES = 1000
/** Of all who find the same offence at once, one decides about the block: those in the same second. */
const LONGEST_TURN_MS = 1_000
/** What a process knows of a block it believes for so long: a reset elsewhere is noticed then. */
const BELIEVED_MS = 30_000
/** Under these names a process knows of the block, and that it may believe in it. */
const BLOCK = 'block '
const BELIEVED = 'believed '
/** After these, who has lost the turn looks whether the block has begun. */
const PAUSES_MS = [5, 10, 20, 40, 80]
const NEAR_PAUSES_MS = [1, 2, 4, 8, 16]

/**
 * Blocks a key for longer each time it passes a limit: `blockFor: ['1 minute', '10 minutes', '1 day']`.
 *
 * Each block begins with a denial by the limits; the last step is for all that follow. A key begins again with
 * the first step when it has not been blocked for a day, and for as long as the longest step besides. What is
 * remembered lies where the counters lie, in bounded memory: processes that share a budget share the steps.
 * A longer block is never replaced by a shorter one.
 */
export class Escalation implements Limiter {
  readonly limits: readonly Limit[]
  readonly #tier: Limiter
  readonly #stepsMs: readonly number[]
  /** Offences of each key. */
  readonly #strikes: Limiter
  /** Keys under a block that a step began. */
  readonly #blocked: Limiter
  /** Admits one caller a key: who decides about a block. */
  readonly #turns: Limiter
  /** Keys of which this process knows that they are blocked, and for how long: it need not ask again. */
  readonly #known: RateLimiter
  /** Looks for a block that another process begins: one a key. */
  readonly #looks = new Map<string, Promise<number | undefined>>()
  /** The last block that was to begin found no room. */
  #isFull = false
  /** Denials that began a block: what the limits alone said, and for how long the block lasts. */
  readonly #begun = new WeakMap<Decision, { readonly denied: Decision; readonly ms: number }>()

  constructor(
    tier: Limiter,
    stepsMs: readonly number[],
    open: OpenCompanion,
    clock: Clock | undefined,
  ) {
    this.limits = tier.limits
    this.#tier = tier
    this.#stepsMs = stepsMs
    const windowMs = Math.min(MEMORY_MS + Math.max(...stepsMs), MOST_MEMORY_MS)
    const turnMs = Math.min(LONGEST_TURN_MS, ...stepsMs)
    this.#strikes = open('strikes', { count: MOST_STRIKES, windowMs }, 'fixed-window')
    this.#blocked = open('blocked', { count: 1, windowMs: LONGEST_TURN_MS }, 'fixed-window')
    this.#turns = open(`turns ${turnMs}`, { count: 1, windowMs: turnMs }, 'fixed-window')
    this.#known = new RateLimiter(
      { count: 1, windowMs: LONGEST_TURN_MS },
      { capacity: 20_000, clock },
    )
  }

  check(key: string, cost?: number): MaybePromise<Decision> {
    return andThen(this.#tier.check(key, cost), (decision) => {
      if (decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY) return decision
      if (this.#isKnown(key)) return this.#underKnown(key, decision)
      return cost === 0 ? decision : this.#judge(key, decision)
    })
  }

  peek(key: string, cost?: number): MaybePromise<Decision> {
    return andThen(this.#tier.peek(key, cost), (decision) => {
      if (decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY) return decision
      return this.#isKnown(key) ? this.#underKnown(key, decision) : decision
    })
  }

  take(key: string, cost?: number): MaybePromise<Decision> {
    return this.#tier.take(key, cost)
  }

  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<Outcome<Decision>> {
    return this.#tier.delay(key, cost, maxWaitMs, caller)
  }

  standings(key: string, decision: Decision): MaybePromise<readonly LimitStatus[]> {
    const block = this.#begun.get(decision)
    if (block === undefined) return this.#tier.standings(key, decision)
    return andThen(this.#tier.standings(key, block.denied), (standings) =>
      standings.map((standing) => underBlock(standing, block.ms)),
    )
  }

  refund(key: string, units?: number): MaybePromise<void> {
    return this.#tier.refund(key, units)
  }

  block(key: string, ms: number): MaybePromise<void> {
    return this.#tier.block(key, ms)
  }

  reset(key: string): MaybePromise<void> {
    this.#known.reset(BELIEVED + key)
    const all = [this.#strikes, this.#blocked, this.#turns, this.#tier]
    return inTurn(all.map((tier) => () => tier.reset(key)))
  }

  wait(key: string, options?: WaitOptions): Promise<Decision> {
    return this.#tier.wait(key, options)
  }

  ready(): Promise<StoreStatus> {
    return readiness(this.#tier)
  }

  close(): MaybePromise<void> {
    this.#known.close()
    const all = [this.#strikes, this.#blocked, this.#turns, this.#tier]
    return inTurn(all.map((tier) => () => tier.close()))
  }

  /** Whether the denial begins a block, or belongs to one that has begun, here or in another process. */
  #judge(key: string, denied: Decision): MaybePromise<Decision> {
    return andThen(this.#blocked.peek(key), (block) => {
      if (!block.allowed) return this.#underFound(key, block, denied)
      const turn = this.#turns.take(key)
      return andThen(turn, ({ allowed }) => {
        if (allowed) return this.#punish(key, denied)
        // Another caller is about to begin the block.
        if (this.#isFull) return denied
        const look = this.#lookFor(key, turn instanceof Promise)
        return look.then((ms) => (ms === undefined ? denied : this.#under(denied, ms)))
      })
    })
  }

  /** For how long a block lasts that another caller begins. */
  #lookFor(key: string, isFar: boolean): Promise<number | undefined> {
    const known = this.#looks.get(key)
    if (known !== undefined) return known
    const look = this.#look(key, isFar).finally(() => this.#looks.delete(key))
    this.#looks.set(key, look)
    return look
  }

  async #look(key: string, isFar: boolean): Promise<number | undefined> {
    for (const ms of isFar ? PAUSES_MS : NEAR_PAUSES_MS) {
      await pause(ms)
      const block = await this.#blocked.peek(key)
      if (!block.allowed) {
        this.#know(key, block.retryAfterMs)
        return block.retryAfterMs
      }
    }
    // On this host it takes microseconds: there is no room for the block.
    if (!isFar) return undefined
    // It takes its time. What a client is told may be too long, but not too short.
    const { limit, remaining } = await this.#strikes.peek(key)
    return this.#stepsMs[Math.min(limit - remaining, this.#stepsMs.length - 1)] as number
  }

  #underFound(key: string, { retryAfterMs }: Decision, denied: Decision): Decision {
    this.#know(key, retryAfterMs)
    return this.#under(denied, retryAfterMs)
  }

  #underKnown(key: string, denied: Decision): Decision {
    return this.#under(denied, this.#known.peek(BLOCK + key).retryAfterMs)
  }

  /** The denial as it reads under the block: one that was remembered from before says too short a time. */
  #under(denied: Decision, ms: number): Decision {
    const longer = { ...deniedFor(denied, ms), remaining: 0 }
    this.#begun.set(longer, { denied, ms })
    return longer
  }

  #punish(key: string, denied: Decision): MaybePromise<Decision> {
    return andThen(this.#strike(key), (strikes) => {
      const ms = this.#stepsMs[strikes - 1] as number
      const longer = this.#under(denied, ms)
      // A block replaces an earlier one: a longer one must not end the sooner for it.
      const isLonger = denied.retryAfterMs >= ms
      const block = (): MaybePromise<boolean> => isLonger || blocks(this.#tier, key, ms)
      return andThen(blocks(this.#blocked, key, ms), (isKnown) => {
        this.#isFull = !isKnown
        if (isKnown) this.#know(key, ms)
        // No slot left but those of blocked keys: the denial stands, and the next one tries again.
        return andThen(isKnown && block(), (isBlocked) => (isBlocked ? longer : denied))
      })
    })
  }

  #know(key: string, ms: number): void {
    const wholeMs = Math.max(1, Math.floor(ms))
    void blocks(this.#known, BLOCK + key, wholeMs)
    void blocks(this.#known, BELIEVED + key, Math.min(wholeMs, BELIEVED_MS))
  }

  #isKnown(key: string): boolean {
    return !this.#known.peek(BELIEVED + key).allowed
  }

  /** Which step it is now. Each offence opens the window again: it is the last one that is remembered. */
  #strike(key: string): MaybePromise<number> {
    return andThen(this.#strikes.peek(key), ({ limit, remaining }) => {
      const strikes = Math.min(limit - remaining + 1, this.#stepsMs.length, MOST_STRIKES)
      return andThen(this.#strikes.reset(key), () =>
        andThen(this.#strikes.take(key, strikes), () => strikes),
      )
    })
  }
}

/** A limit that has units left would admit one as soon as the block is over. */
function underBlock({ remaining, moreMs }: LimitStatus, ms: number): LimitStatus {
  return { remaining: 0, moreMs: remaining > 0 ? ms : Math.max(moreMs, ms) }
}

/** Blocks the key, unless the table has no slot for it: whether it has. */
function blocks(tier: Limiter, key: string, ms: number): MaybePromise<boolean> {
  try {
    const blocked = tier.block(key, ms)
    return blocked instanceof Promise ? blocked.then(() => true, isFull) : true
  } catch (error) {
    return isFull(error)
  }
}

/** @throws the error, if it is another */
function isFull(error: unknown): false {
  if (error instanceof Error && 'code' in error && error.code === 'TABLE_FULL') return false
  throw error
}

function inTurn(steps: readonly (() => MaybePromise<void>)[]): MaybePromise<void> {
  const [first, ...others] = steps
  if (first !== undefined) return andThen(first(), () => inTurn(others))
}
