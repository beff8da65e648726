import type { Clock } from '../../clock.ts'
import { type Decision, deniedFor } from '../../decision.ts'
import type { Limit } from '../../limit/limit.ts'
import { RateLimiter } from '../../limiter.ts'
import { type Answer, readiness, type Standing, type StoreStatus, type Tier } from '../../tier.ts'
import type { WaitOptions } from '../../wait.ts'
import type { Caller, Outcome } from '../../wait-queue.ts'
import { then } from './answer.ts'
import type { OpenCompanion } from './companion.ts'

/** How long an offence is remembered once its block is over. */
const MEMORY_MS = 86_400_000
const MOST_MEMORY_MS = 365 * 86_400_000
const MOST_STRIKES = 1000
/** Of all who find the same offence at once, one decides about the block: those in the same second. */
const LONGEST_TURN_MS = 1_000

/**
 * Blocks a key for longer each time it passes a limit: `blockFor: ['1 minute', '10 minutes', '1 day']`.
 *
 * Each block begins with a denial by the limits; the last step is for all that follow. A key begins again with
 * the first step when it has not been blocked for a day, and for as long as the longest step besides. What is
 * remembered lies where the counters lie, in bounded memory: processes that share a budget share the steps.
 * A longer block is never replaced by a shorter one.
 */
export class Escalation implements Tier {
  readonly limits: readonly Limit[]
  readonly #tier: Tier
  readonly #stepsMs: readonly number[]
  /** Offences of each key. */
  readonly #strikes: Tier
  /** Keys under a block that a step began. */
  readonly #blocked: Tier
  /** Admits one caller a key: who decides about a block. */
  readonly #turns: Tier
  /** Keys of which this process knows that they are blocked: it need not ask again. */
  readonly #known: RateLimiter
  /** Denials that began a block: what the limits alone said, and for how long the block lasts. */
  readonly #begun = new WeakMap<Decision, { readonly denied: Decision; readonly ms: number }>()

  constructor(
    tier: Tier,
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
      { capacity: 10_000, clock },
    )
  }

  check(key: string, cost?: number): Answer<Decision> {
    return then(this.#tier.check(key, cost), (decision) => {
      const isOffence = !decision.allowed && Number.isFinite(decision.retryAfterMs) && cost !== 0
      if (!isOffence || !this.#known.peek(key).allowed) return decision
      return this.#judge(key, cost, decision)
    })
  }

  peek(key: string, cost?: number): Answer<Decision> {
    return this.#tier.peek(key, cost)
  }

  take(key: string, cost?: number): Answer<Decision> {
    return this.#tier.take(key, cost)
  }

  delay(key: string, cost: number, maxWaitMs: number, caller: Caller): Answer<Outcome<Decision>> {
    return this.#tier.delay(key, cost, maxWaitMs, caller)
  }

  standings(key: string, decision: Decision): Answer<readonly Standing[]> {
    const block = this.#begun.get(decision)
    if (block === undefined) return this.#tier.standings(key, decision)
    return then(this.#tier.standings(key, block.denied), (standings) =>
      standings.map((standing) => underBlock(standing, block.ms)),
    )
  }

  refund(key: string, units?: number): Answer<void> {
    return this.#tier.refund(key, units)
  }

  block(key: string, ms: number): Answer<void> {
    return this.#tier.block(key, ms)
  }

  reset(key: string): Answer<void> {
    this.#known.reset(key)
    const all = [this.#strikes, this.#blocked, this.#turns, this.#tier]
    return inTurn(all.map((tier) => () => tier.reset(key)))
  }

  wait(key: string, options?: WaitOptions): Promise<Decision> {
    return this.#tier.wait(key, options)
  }

  ready(): Promise<StoreStatus> {
    return readiness(this.#tier)
  }

  close(): Answer<void> {
    this.#known.close()
    const all = [this.#strikes, this.#blocked, this.#turns, this.#tier]
    return inTurn(all.map((tier) => () => tier.close()))
  }

  /** Whether the denial begins a block, or belongs to one that has begun, here or in another process. */
  #judge(key: string, cost: number | undefined, denied: Decision): Answer<Decision> {
    return then(this.#blocked.peek(key), (block) => {
      if (!block.allowed) {
        this.#know(key, block.retryAfterMs)
        return denied
      }
      return then(this.#turns.take(key), ({ allowed }) =>
        // Another caller is about to begin the block.
        allowed ? this.#punish(key, denied) : then(this.#tier.peek(key, cost), later(denied)),
      )
    })
  }

  #punish(key: string, denied: Decision): Answer<Decision> {
    return then(this.#strike(key), (strikes) => {
      const ms = this.#stepsMs[strikes - 1] as number
      const longer = { ...deniedFor(denied, ms), remaining: 0 }
      this.#begun.set(longer, { denied, ms })
      // A block replaces an earlier one: a longer one must not end the sooner for it.
      const isLonger = denied.retryAfterMs >= ms
      const block = (): Answer<boolean> => isLonger || blocks(this.#tier, key, ms)
      return then(blocks(this.#blocked, key, ms), (isKnown) => {
        if (isKnown) this.#know(key, ms)
        // No slot left but those of blocked keys: the denial stands, and the next one tries again.
        return then(isKnown && block(), (isBlocked) => (isBlocked ? longer : denied))
      })
    })
  }

  #know(key: string, ms: number): void {
    void blocks(this.#known, key, Math.max(1, Math.floor(ms)))
  }

  /** Which step it is now. Each offence opens the window again: it is the last one that is remembered. */
  #strike(key: string): Answer<number> {
    return then(this.#strikes.peek(key), ({ limit, remaining }) => {
      const strikes = Math.min(limit - remaining + 1, this.#stepsMs.length, MOST_STRIKES)
      return then(this.#strikes.reset(key), () =>
        then(this.#strikes.take(key, strikes), () => strikes),
      )
    })
  }
}

/** A limit that has units left would admit one as soon as the block is over. */
function underBlock({ remaining, moreMs }: Standing, ms: number): Standing {
  return { remaining: 0, moreMs: remaining > 0 ? ms : Math.max(moreMs, ms) }
}

/** The denial that lasts longer. */
function later(denied: Decision): (seen: Decision) => Decision {
  return (seen) => (!seen.allowed && seen.retryAfterMs > denied.retryAfterMs ? seen : denied)
}

/** Blocks the key, unless the table has no slot for it: whether it has. */
function blocks(tier: Tier, key: string, ms: number): Answer<boolean> {
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

function inTurn(steps: readonly (() => Answer<void>)[]): Answer<void> {
  const [first, ...others] = steps
  if (first !== undefined) return then(first(), () => inTurn(others))
}
