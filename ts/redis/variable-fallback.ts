import type { Decision } from '../decision.ts'
import { closedError } from '../errors.ts'
import { burstOf, type Limit, ownBurst } from '../limit/limit.ts'
import type { LimitStatus } from '../limiter.ts'
import { blind } from '../remote/fallback.ts'
import type { ResolvedRemoteOptions } from '../remote/options.ts'
import { NativeVariableLimiter, type VariableTier } from '../variable/native.ts'
import type { ProcessGroup } from './heartbeat.ts'

interface Held {
  readonly native: NativeVariableLimiter
  holders: number
}

/** Limiters that share their counters in Redis share them here. */
const byCircle = new WeakMap<ProcessGroup, Held>()

/** One part of some limits, as the native limiter sees it. */
interface Part {
  readonly parts: number
  readonly tier: VariableTier
}

/**
 * Decides while Redis does not, for limits that change from call to call: `local` counts in this process, up
 * to its share of the limits of each call, rounded up. What was used stays used when limits or shares change.
 */
export class VariableFallback {
  readonly #options: ResolvedRemoteOptions
  readonly #circle: ProcessGroup
  readonly #parts: () => number
  readonly #cut = new WeakMap<readonly Limit[], Part>()
  #held: Held | undefined
  #isClosed = false

  /**
   * @param circle the processes that share the limits
   * @param parts into how many parts the limits are cut now, of which this process has one
   */
  constructor(options: ResolvedRemoteOptions, circle: ProcessGroup, parts: () => number) {
    this.#options = options
    this.#circle = circle
    this.#parts = parts
  }

  check(limits: readonly Limit[], key: string, cost: number): Decision {
    return this.#decide(limits, (tier) => tier.check(key, cost))
  }

  take(limits: readonly Limit[], key: string, cost: number, isPaced: boolean): Decision {
    return this.#decide(limits, (tier) => tier.take(key, cost, isPaced))
  }

  peek(limits: readonly Limit[], key: string, cost: number): Decision {
    return this.#decide(limits, (tier) => tier.peek(key, cost))
  }

  /** How each of this process's shares stands, if they were ever used. */
  standings(limits: readonly Limit[], key: string): readonly LimitStatus[] | undefined {
    return this.#held === undefined ? undefined : this.#tier(limits)?.standings(key)
  }

  refund(limits: readonly Limit[], key: string, units: number): void {
    if (this.#held !== undefined) this.#tier(limits)?.refund(key, units)
  }

  block(limits: readonly Limit[], key: string, ms: number): void {
    this.#tier(limits)?.block(key, ms)
  }

  reset(key: string): void {
    this.#held?.native.reset(key)
  }

  close(): void {
    this.#isClosed = true
    const held = this.#held
    this.#held = undefined
    if (held === undefined || --held.holders > 0) return
    byCircle.delete(this.#circle)
    held.native.close()
  }

  /** The limit is reported as it was set, not as this process's share of it. */
  #decide(limits: readonly Limit[], ask: (tier: VariableTier) => Decision): Decision {
    const tier = this.#tier(limits)
    if (tier === undefined) return blind(this.#options.onError, limits)
    const decision = ask(tier)
    return { ...decision, limit: limits[decision.policy]?.count ?? decision.limit }
  }

  /** Undefined if there is no memory to count in, or another policy. */
  #tier(limits: readonly Limit[]): VariableTier | undefined {
    if (this.#options.onError !== 'local') return undefined
    if (this.#isClosed) throw closedError('the limiter was closed while waiting')
    const parts = this.#parts()
    const known = this.#cut.get(limits)
    if (known?.parts === parts) return known.tier
    try {
      this.#held ??= this.#hold()
      const tier = this.#held.native.with(cut(limits, parts))
      tier.peek('') // Throws what the core cannot count, or has no memory for.
      this.#cut.set(limits, { parts, tier })
      return tier
    } catch {
      return undefined
    }
  }

  #hold(): Held {
    const { algorithm, blockForMs: blockFor, capacity, clock } = this.#options
    const native = (): NativeVariableLimiter =>
      new NativeVariableLimiter({ algorithm, blockFor, capacity, clock })
    const held = byCircle.get(this.#circle) ?? { native: native(), holders: 0 }
    byCircle.set(this.#circle, held)
    held.holders++
    return held
  }
}

function cut(limits: readonly Limit[], parts: number): readonly Limit[] {
  const part = (units: number): number => Math.max(1, Math.ceil(units / parts))
  return limits.map((limit) => {
    const { count, windowMs } = limit
    if (ownBurst(limit) === undefined) return { count: part(count), windowMs }
    return { count: part(count), windowMs, burst: part(burstOf(limit)) }
  })
}
