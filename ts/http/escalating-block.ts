import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { type Decision, deniedFor } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import { readDuration } from '../limit/parse.ts'
import {
  andThen,
  type Limiter,
  type LimitStatus,
  type MaybePromise,
  readiness,
} from '../limiter.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { invalid } from '../validate.ts'
import type { Counters, Counting, OpenCompanion } from './request-limits.ts'

/** How long an offence is remembered after its block is over. */
const MEMORY_MS = 86_400_000
const MAX_MEMORY_MS = 365 * 86_400_000
const MAX_STRIKES = 1000
/** Of all callers that find the same offence within this time, one decides about the block. */
const MAX_TURN_MS = 1_000
/** For this long a process believes what it knows about a block. Then it notices a reset by another process. */
const BELIEVED_MS = 30_000
/** Prefixes of a key: how long its block lasts, and how long that may be believed. */
const BLOCK = 'block '
const BELIEVED = 'believed '
/** Pauses after which callers that do not decide look for the block. */
const PAUSES_MS = [5, 10, 20, 40, 80]
const NEAR_PAUSES_MS = [1, 2, 4, 8, 16]

/** Reads the steps of `blockFor`, in milliseconds. */
export function readSteps(steps: readonly unknown[], name: string): readonly number[] {
  if (steps.length > 0) return steps.map((step, i) => readDuration(step, `${name}[${i}]`))
  throw invalid(RangeError, 'INVALID_OPTION', name, 'a duration, or at least one step', steps)
}

/** Counters whose denials begin the blocks. The blocks of a key do not depend on its limits. */
export function withBlocks(counters: Counters, blocks: EscalatingBlock): Counters {
  return {
    with: (limits) => limiterWithBlocks(counters.with(limits), blocks),
    reset: (key) => andThen(blocks.reset(key), () => counters.reset(key)),
    ready: () => readiness(counters),
    close: () => andThen(blocks.close(), () => counters.close()),
  }
}

function limiterWithBlocks(limiter: Counting, blocks: EscalatingBlock): Counting {
  return {
    limits: limiter.limits,
    check: (key, cost) => blocks.check(limiter, key, cost),
    peek: (key, cost) => blocks.peek(limiter, key, cost),
    standings: (key, decision) => blocks.standings(limiter, key, decision),
    take: (key, cost) => limiter.take(key, cost),
    delay: (...asked) => limiter.delay(...asked),
    noteDenial: (...denial) => limiter.noteDenial?.(...denial),
    refund: (key, units) => limiter.refund(key, units),
    block: (key, ms) => limiter.block(key, ms),
  }
}

/**
 * Blocks a key for longer each time it passes a limit: `blockFor: ['1 minute', '10 minutes', '1 day']`.
 *
 * Each block begins with a denial by the limits; the last step is for all further offences. A key starts with the
 * first step again when it has not been blocked for a day plus the longest step. The offences lie where the
 * counters lie, in bounded memory: processes that share the counters share the steps. A longer block is never
 * replaced by a shorter one.
 */
export class EscalatingBlock {
  readonly #stepsMs: readonly number[]
  /** How many offences each key has committed. */
  readonly #strikes: Limiter
  /** Keys under a block that a step began. */
  readonly #blocked: Limiter
  /** Admits one caller per key: the one that decides about a block. */
  readonly #turns: Limiter
  /** Which keys this process knows to be blocked, and for how long: they are not looked up. */
  readonly #known: RateLimiter
  /** Looks for a block that another caller begins: one per key. */
  readonly #looks = new Map<string, Promise<number | undefined>>()
  /** There was no room for the last block. */
  #isFull = false
  /** Denials under a block: what the limits alone decided, and how long the block lasts. */
  readonly #underBlock = new WeakMap<Decision, { readonly denied: Decision; readonly ms: number }>()

  constructor(stepsMs: readonly number[], open: OpenCompanion, clock: Clock | undefined) {
    this.#stepsMs = stepsMs
    const windowMs = Math.min(MEMORY_MS + Math.max(...stepsMs), MAX_MEMORY_MS)
    const turnMs = Math.min(MAX_TURN_MS, ...stepsMs)
    const once: Limit = { count: 1, windowMs: MAX_TURN_MS }
    this.#strikes = open('strikes', { count: MAX_STRIKES, windowMs }, 'fixed-window')
    this.#blocked = open('blocked', once, 'fixed-window')
    this.#turns = open(`turns ${turnMs}`, { count: 1, windowMs: turnMs }, 'fixed-window')
    this.#known = new RateLimiter(once, { capacity: 20_000, clock })
  }

  check(limiter: Counting, key: string, cost?: number): MaybePromise<Decision> {
    return andThen(limiter.check(key, cost), (decision) => {
      const known = this.#asKnown(key, decision)
      return known ?? (cost === 0 ? decision : this.#judge(limiter, key, decision))
    })
  }

  peek(limiter: Counting, key: string, cost?: number): MaybePromise<Decision> {
    return andThen(limiter.peek(key, cost), (decision) => this.#asKnown(key, decision) ?? decision)
  }

  standings(
    limiter: Counting,
    key: string,
    decision: Decision,
  ): MaybePromise<readonly LimitStatus[]> {
    const block = this.#underBlock.get(decision)
    if (block === undefined) return limiter.standings(key, decision)
    return andThen(limiter.standings(key, block.denied), (standings) =>
      standings.map((standing) => underBlock(standing, block.ms)),
    )
  }

  /** Forgets the offences and the block of a key. The caller resets the limiter. */
  reset(key: string): MaybePromise<void> {
    this.#known.reset(BELIEVED + key)
    return andThen(this.#strikes.reset(key), () =>
      andThen(this.#blocked.reset(key), () => this.#turns.reset(key)),
    )
  }

  close(): MaybePromise<void> {
    this.#known.close()
    return andThen(this.#strikes.close(), () =>
      andThen(this.#blocked.close(), () => this.#turns.close()),
    )
  }

  /** Whether the denial begins a block, or belongs to one that has begun, here or in another process. */
  #judge(limiter: Counting, key: string, denied: Decision): MaybePromise<Decision> {
    return andThen(this.#blocked.peek(key), (block) => {
      if (!block.allowed) {
        this.#know(key, block.retryAfterMs)
        return this.#lengthen(denied, block.retryAfterMs)
      }
      const turn = this.#turns.take(key)
      return andThen(turn, ({ allowed }) => {
        if (allowed) return this.#punish(limiter, key, denied)
        // Another caller is about to begin the block.
        if (this.#isFull) return denied
        const look = this.#lookFor(key, turn instanceof Promise)
        return look.then((ms) => (ms === undefined ? denied : this.#lengthen(denied, ms)))
      })
    })
  }

  /** How long the block lasts that another caller begins. */
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
    // On one host a block takes microseconds to begin: there is no room for it.
    if (!isFar) return undefined
    // The other process is slow. The client may be told a longer time than necessary, never a shorter one.
    const { limit, remaining } = await this.#strikes.peek(key)
    return this.#stepsMs[Math.min(limit - remaining, this.#stepsMs.length - 1)] as number
  }

  /** The decision as this process knows it to stand; `undefined` if the denial may begin a block. */
  #asKnown(key: string, decision: Decision): Decision | undefined {
    if (decision.allowed || decision.retryAfterMs === Number.POSITIVE_INFINITY) return decision
    if (this.#known.peek(BELIEVED + key).allowed) return undefined
    return this.#lengthen(decision, this.#known.peek(BLOCK + key).retryAfterMs)
  }

  /** The denial under a block: one that a process remembers from before says too short a time. */
  #lengthen(denied: Decision, ms: number): Decision {
    const longer = { ...deniedFor(denied, ms), remaining: 0 }
    this.#underBlock.set(longer, { denied, ms })
    return longer
  }

  #punish(limiter: Counting, key: string, denied: Decision): MaybePromise<Decision> {
    return andThen(this.#strike(key), (strikes) => {
      const ms = this.#stepsMs[strikes - 1] as number
      const longer = this.#lengthen(denied, ms)
      // A block replaces an earlier one, and must not end a longer one early.
      const isLonger = denied.retryAfterMs >= ms
      const block = (): MaybePromise<boolean> => isLonger || tryToBlock(limiter, key, ms)
      return andThen(tryToBlock(this.#blocked, key, ms), (isKnown) => {
        this.#isFull = !isKnown
        if (isKnown) this.#know(key, ms)
        // Without a free slot the denial stands as it is, and the next one tries again.
        return andThen(isKnown && block(), (isBlocked) => (isBlocked ? longer : denied))
      })
    })
  }

  #know(key: string, ms: number): void {
    const wholeMs = Math.max(1, Math.floor(ms))
    void tryToBlock(this.#known, BLOCK + key, wholeMs)
    void tryToBlock(this.#known, BELIEVED + key, Math.min(wholeMs, BELIEVED_MS))
  }

  /** Which step it is now. Each offence begins the window again, so that the last one is remembered. */
  #strike(key: string): MaybePromise<number> {
    return andThen(this.#strikes.peek(key), ({ limit, remaining }) => {
      const strikes = Math.min(limit - remaining + 1, this.#stepsMs.length, MAX_STRIKES)
      return andThen(this.#strikes.reset(key), () =>
        andThen(this.#strikes.take(key, strikes), () => strikes),
      )
    })
  }
}

/** A limit that has units left would admit a request as soon as the block is over. */
function underBlock({ remaining, moreMs }: LimitStatus, ms: number): LimitStatus {
  return { remaining: 0, moreMs: remaining > 0 ? ms : Math.max(moreMs, ms) }
}

/** Whether the key is blocked: the table may have no slot for it. */
function tryToBlock(limiter: Counting, key: string, ms: number): MaybePromise<boolean> {
  try {
    const blocked = limiter.block(key, ms)
    return blocked instanceof Promise ? blocked.then(() => true, falseIfFull) : true
  } catch (error) {
    return falseIfFull(error)
  }
}

/** @throws any other error */
function falseIfFull(error: unknown): false {
  if (error instanceof Error && 'code' in error && error.code === 'TABLE_FULL') return false
  throw error
}
