import { type Decision, retryAfterOf } from '../decision.ts'
import { closedError } from '../errors.ts'
import type { Limit } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import type { ProcessGroup } from '../redis/heartbeat.ts'
import { type Local, localFor } from '../redis/local.ts'
import type { OnError, ResolvedRemoteOptions } from './options.ts'

/** What a denial of a limiter that cannot know says: ask again in a second. */
const UNKNOWN_MS = 1_000

let isTold = false

/**
 * Decides while Redis does not.
 *
 * `local` counts in this process, up to this process's share of each limit, rounded up: P processes together
 * admit at most P - 1 units more than the limit. It is kept from one outage to the next, so that a Redis
 * that comes and goes grants no fresh budget each time.
 */
export class Fallback {
  readonly #policy: OnError
  readonly #limits: readonly Limit[]
  readonly #open: () => ReturnType<typeof localFor>
  #held: ReturnType<typeof localFor> | undefined
  #isClosed = false

  /**
   * @param circle the processes that share the limits
   * @param parts into how many parts the limits are cut now, of which this process has one
   */
  constructor(
    limits: readonly Limit[],
    options: ResolvedRemoteOptions,
    circle: ProcessGroup,
    parts: () => number,
  ) {
    this.#policy = options.onError
    this.#limits = limits
    this.#open = () => localFor(circle, limits, options, parts)
  }

  check(key: string, cost: number): Decision {
    return this.#asWhole(this.#local()?.check(key, cost))
  }

  take(key: string, cost: number, isPaced: boolean): Decision {
    return this.#asWhole(this.#local()?.take(key, cost, isPaced))
  }

  peek(key: string, cost: number): Decision {
    return this.#asWhole(this.#local()?.peek(key, cost))
  }

  /** How each of this process's shares stands, if they were ever used. */
  standings(key: string): readonly LimitStatus[] | undefined {
    return this.#held?.local.standings(key)
  }

  refund(key: string, units: number): void {
    this.#held?.local.refund(key, units)
  }

  block(key: string, ms: number): void {
    this.#local()?.block(key, ms)
  }

  reset(key: string): void {
    this.#held?.local.reset(key)
  }

  close(): void {
    this.#isClosed = true
    this.#held?.letGo()
    this.#held = undefined
  }

  /** The limit is reported as it was set, not as this process's share of it. */
  #asWhole(decision: Decision | undefined): Decision {
    if (decision === undefined) return blind(this.#policy, this.#limits)
    return { ...decision, limit: this.#limits[decision.policy]?.count ?? decision.limit }
  }

  /** A caller that was still waiting for Redis when the limiter was closed has no answer. */
  #local(): Local | undefined {
    if (this.#policy !== 'local') return undefined
    if (this.#isClosed) throw closedError('the limiter was closed while waiting')
    this.#held ??= this.#open()
    return this.#held.local
  }
}

/** `open` and `closed` know of no limit: the first one is named. Nor does `local` without memory. */
export function blind(policy: OnError, limits: readonly Limit[]): Decision {
  if (policy === 'local') tellNoMemory()
  const allowed = policy === 'open'
  const limit = limits[0]?.count ?? 0
  const ms = allowed ? 0 : UNKNOWN_MS
  return {
    allowed,
    limit,
    remaining: allowed ? limit : 0,
    resetMs: ms,
    limitResetMs: ms,
    retryAfterMs: ms,
    retryAfter: retryAfterOf(ms),
    policy: 0,
  }
}

/** Once in a process. */
function tellNoMemory(): void {
  if (isTold) return
  isTold = true
  process.emitWarning(
    'there is no memory for a local limiter, so a limiter with onError "local" denies while Redis is away; set a smaller capacity',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_NO_LOCAL' },
  )
}
