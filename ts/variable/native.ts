import { withBurst } from '../burst.ts'
import type { Clock } from '../clock.ts'
import { agedDenial, type Decision, readDecision } from '../decision.ts'
import { burstOf, type Limit } from '../limit/limit.ts'
import type { Limiter, LimitStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { type NativeVariable, openVariable, type VariableOptions } from '../native/binding.ts'
import { openShared } from '../native/open.ts'
import { watchShared } from '../native/shared.ts'
import { type RateLimiterOptions, type ResolvedOptions, resolveOptions } from '../options.ts'
import type { LimiterStats } from '../rate-limiter.ts'
import { LimiterQueues, type QueuedLimiter, readWaitOptions, type WaitOptions } from '../wait.ts'
import type { Caller, Outcome } from '../wait-queue.ts'
import type { VariableLimiter } from './variable.ts'
import { Windows } from './windows.ts'

/**
 * Counters on this host of callers whose limits may change. One native limiter, to which each call tells
 * the limits that count in it.
 */
export class NativeVariableLimiter implements VariableLimiter {
  readonly #native: NativeVariable
  readonly #options: ResolvedOptions
  readonly #clock: Clock | undefined
  readonly #windows: Windows
  readonly #queues: LimiterQueues
  readonly #endWatch: (() => void) | undefined
  /** The limits that stand in the native memory. */
  #told: VariableTier | undefined

  /** @throws TypeError or RangeError that names the option; with `shared` the codes of docs/reference/errors.md */
  constructor(options: RateLimiterOptions) {
    const resolved = resolveOptions(options)
    const { algorithm, name, clock } = resolved
    const shared = resolved.shared ? name : undefined
    this.#native = shared === undefined ? openVariable(forNative(resolved)) : open(resolved, shared)
    if (shared !== undefined) {
      this.#endWatch = watchShared(this.#native, this.#native.check, shared, () => {})
    }
    this.#options = resolved
    this.#clock = clock
    this.#windows = new Windows(algorithm, name)
    this.#queues = new LimiterQueues(algorithm, resolved)
  }

  with(limits: readonly Limit[]): VariableTier {
    this.#windows.see(limits)
    return new VariableTier(this, withBurst(limits, this.#options))
  }

  check(tier: VariableTier, key: string, cost?: number): Decision {
    const now = this.#now()
    return readDecision(this.#tell(tier).check(key, cost, ...now) === undefined, this.#native)
  }

  peek(tier: VariableTier, key: string, cost?: number): Decision {
    const now = this.#now()
    return readDecision(this.#tell(tier).peek(key, cost, ...now) === undefined, this.#native)
  }

  take(tier: VariableTier, key: string, cost?: number, isPaced = false): Decision {
    const now = this.#now()
    const native = this.#tell(tier)
    const objection = isPaced ? native.pace(key, cost, ...now) : native.take(key, cost, ...now)
    return readDecision(objection === undefined, native)
  }

  standings(tier: VariableTier, key: string): readonly LimitStatus[] {
    return tier.limits.map((_, index) => {
      const now = this.#now()
      this.#tell(tier).standing(key, index, ...now)
      const [remaining = 0, moreMs = 0] = this.#native.wide
      return { remaining, moreMs }
    })
  }

  refund(tier: VariableTier, key: string, units?: number): void {
    const now = this.#now()
    this.#tell(tier).refund(key, units, ...now)
    this.#queues.wake(key)
  }

  /** Waits its turn: see {@link LimiterQueues}. */
  join(
    tier: VariableTier,
    key: string,
    cost: number,
    ms: number,
    caller: Caller,
  ): MaybePromise<Outcome<Decision>> {
    tier.peek(key, cost) // Throws for a wrong key or cost.
    return this.#queues.delay(tier, key, cost, ms, caller)
  }

  wait(tier: VariableTier, key: string, options: WaitOptions): Promise<Decision> {
    const read = readWaitOptions(options)
    tier.peek(key, read.cost) // Throws for a wrong key or cost.
    return this.#queues.wait(tier, key, read)
  }

  block(key: string, ms: number): void {
    this.#native.block(key, ms, ...this.#now())
  }

  reset(key: string): void {
    this.#native.reset(key)
    this.#queues.wake(key)
  }

  /** What this limiter has been through. `bytes`: the most its tables of now can occupy. */
  stats(): LimiterStats {
    this.#native.stats()
    const [evictions = 0, overflows = 0, bytes = 0] = this.#native.wide
    return { evictions, overflows, bytes }
  }

  close(): void {
    this.#native.close()
    this.#endWatch?.()
    this.#queues.close()
  }

  /** The native side, with these limits told to it. */
  #tell(tier: VariableTier): NativeVariable {
    if (this.#told !== tier) {
      this.#native.limits.set(tier.figures)
      this.#told = tier
    }
    return this.#native
  }

  #now(): [] | [number] {
    return this.#clock === undefined ? [] : [this.#clock.now()]
  }
}

/** The counters as one set of limits sees them. Has no state but the limits. */
export class VariableTier implements Limiter, QueuedLimiter {
  readonly limits: readonly Limit[]
  /** How many limits, then count, window and burst of each. */
  readonly figures: readonly number[]
  readonly #limiter: NativeVariableLimiter

  constructor(limiter: NativeVariableLimiter, limits: readonly Limit[]) {
    this.limits = limits
    this.figures = figures(limits)
    this.#limiter = limiter
  }

  check(key: string, cost?: number): Decision {
    return this.#limiter.check(this, key, cost)
  }

  peek(key: string, cost?: number): Decision {
    return this.#limiter.peek(this, key, cost)
  }

  take(key: string, cost?: number, isPaced?: boolean): Decision {
    return this.#limiter.take(this, key, cost, isPaced)
  }

  refund(key: string, units?: number): void {
    this.#limiter.refund(this, key, units)
  }

  block(key: string, ms: number): void {
    this.#limiter.block(key, ms)
  }

  reset(key: string): void {
    this.#limiter.reset(key)
  }

  async wait(key: string, options: WaitOptions = {}): Promise<Decision> {
    return this.#limiter.wait(this, key, options)
  }

  delay(
    key: string,
    cost: number,
    maxWaitMs: number,
    caller: Caller,
  ): MaybePromise<Outcome<Decision>> {
    return this.#limiter.join(this, key, cost, maxWaitMs, caller)
  }

  standings(key: string): readonly LimitStatus[] {
    return this.#limiter.standings(this, key)
  }

  aged(denial: Decision, ms: number): Decision {
    return agedDenial(denial, ms)
  }

  /** Nothing of its own to let go of. */
  close(): void {}
}

function forNative({ algorithm, blockForMs, capacity, name }: ResolvedOptions): VariableOptions {
  return {
    algorithm,
    blockForMs,
    ...(capacity === undefined ? {} : { capacity }),
    ...(name === undefined ? {} : { name }),
  }
}

function open(options: ResolvedOptions, name: string): NativeVariable {
  return openShared(openVariable, { ...forNative(options), name }, options.onMismatch)
}

function figures(limits: readonly Limit[]): readonly number[] {
  const each = limits.flatMap((limit) => [limit.count, limit.windowMs, burstOf(limit)])
  return [limits.length, ...each]
}
