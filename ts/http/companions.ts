import { createForAdapter } from '../create.ts'
import { hashText } from '../key-hash.ts'
import type { Limit } from '../limit/limit.ts'
import type { Limiter } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { andThen } from '../maybe-promise.ts'
import type { Algorithm, RateLimiterOptions } from '../options.ts'
import type { RedisSettings } from './options.ts'

/** Where a limit's counters live, and under which name. */
export interface Where {
  readonly limiter: RateLimiterOptions
  readonly storage: unknown
  readonly forRedis: RedisSettings
  /** `undefined` where only one limiter has these counters. */
  readonly name: string | undefined
}

/** Opens further counters in the same place: processes that share a limit share its companions too. */
export type OpenCompanion = (what: string, limit: Limit, algorithm: Algorithm) => Limiter

const MIN_CAPACITY = 100_000

/** Opens the companions of the counters there: limiters of our own, which hold what the counters can't. */
export function companionsOf({ limiter, storage, forRedis, name }: Where): OpenCompanion {
  const { clock, capacity } = limiter
  const { keyPrefix, deadlineMs, connectTimeoutMs } = forRedis
  return (what, limit, algorithm) => {
    const own = name === undefined ? undefined : companionName(what, name)
    return createForAdapter([limit], {
      algorithm,
      clock,
      // As many keys as the limit has; a table for a few keys is no reason to forget who was blocked.
      capacity: capacity === undefined ? undefined : Math.max(capacity, MIN_CAPACITY),
      storage,
      name: own,
      identity: companionName(what, ''),
      // Without Redis a process knows its own requests only; here it has no share of a limit to keep to.
      forRedis: { keyPrefix, deadlineMs, connectTimeoutMs, processes: 1 },
    })
  }
}

/** Short enough for a name, and never the name of a limit: those are not hashed. */
function companionName(what: string, name: string): string {
  return `ratethrottle ${what} ${hashText(name)}`
}

/** What a process sees of provisional charges to a key, made by any process. */
export interface Sight {
  /** A process holds units, or may. */
  readonly isHeld: boolean
  /** Changes with each mark: if two looks see the same version, no mark was made between them. */
  readonly version: string
}

/**
 * One counter holds two numbers: the marks there are, in units of 1, and the marks ever made, in units of
 * PER_MARK. The marks of one key at one time stay far below that, because each is a process.
 */
const PER_MARK = 32_768
const MAX_COUNT = 1_000_000_000
/** A mark is seen for one to two epochs, which is how long the marks of a killed process count. */
const SHORT_EPOCH_MS = 60_000
const LONG_EPOCH_MS = 600_000
/** A counter outlives every look at it. */
const EPOCHS_KEPT = 3

/**
 * Marks in the store: a process that charges units of a key which it may refund marks the key before the
 * charge, until the refund.
 *
 * So a process that finds a key exhausted can tell whether only provisional charges are to blame.
 */
export class Marks {
  readonly #tier: Limiter
  readonly #now: () => number
  readonly #epochMs: number
  readonly #looks: readonly number[]

  /**
   * @param isFar whether processes of several hosts, whose clocks differ a little, share the marks
   * @param longestMs longest wait of a process for units that another holds
   */
  constructor(open: OpenCompanion, now: () => number, isFar: boolean, longestMs: number) {
    this.#epochMs = longestMs <= SHORT_EPOCH_MS ? SHORT_EPOCH_MS : LONG_EPOCH_MS
    const limit = { count: MAX_COUNT, windowMs: EPOCHS_KEPT * this.#epochMs }
    this.#tier = open(`held ${this.#epochMs}`, limit, 'fixed-window')
    this.#now = now
    this.#looks = isFar ? [-1, 0, 1] : [-1, 0]
  }

  get epoch(): number {
    return Math.floor(this.#now() / this.#epochMs)
  }

  /** Whether the mark was made: an epoch holds a bounded number of them. */
  put(key: string, epoch: number): MaybePromise<boolean> {
    return andThen(this.#tier.take(markKey(key, epoch), PER_MARK + 1), ({ allowed }) => allowed)
  }

  remove(key: string, epoch: number): MaybePromise<void> {
    return this.#tier.refund(markKey(key, epoch), 1)
  }

  look(key: string): MaybePromise<Sight> {
    const { epoch } = this
    const seen = this.#looks.map((ahead) => this.#count(key, epoch + ahead))
    return seen.some((count) => count instanceof Promise)
      ? Promise.all(seen).then(sightOf)
      : sightOf(seen as number[])
  }

  close(): MaybePromise<void> {
    return this.#tier.close()
  }

  #count(key: string, epoch: number): MaybePromise<number> {
    return andThen(
      this.#tier.peek(markKey(key, epoch), 1),
      ({ remaining }) => MAX_COUNT - remaining,
    )
  }
}

function sightOf(counts: readonly number[]): Sight {
  const isFull = (count: number): boolean => count > MAX_COUNT - PER_MARK - 1
  const isHeld = counts.some((count) => isFull(count) || count % PER_MARK > 0)
  return { isHeld, version: counts.join() }
}

function markKey(key: string, epoch: number): string {
  return `${epoch} ${key}`
}
