import { figuresOf, type Limit } from '../limit/limit.ts'
import type { StoreStatus, Tier } from '../tier.ts'
import type { VariableLimiter } from '../variable/variable.ts'
import { RedisLimiter } from './limiter.ts'
import type { RedisLimiterOptions } from './options.ts'

/** So many different sets of limits are kept: each is a limiter of its own. */
const MOST_LIMITERS = 256

/** Counters in Redis of callers whose limits may change. Each set of limits has counters of its own. */
export class RedisVariableLimiter implements VariableLimiter {
  readonly #options: RedisLimiterOptions
  readonly #limiters = new Map<string, RedisLimiter>()

  constructor(options: RedisLimiterOptions) {
    this.#options = options
  }

  with(limits: readonly Limit[]): Tier {
    const text = figuresOf(limits)
    const known = this.#limiters.get(text)
    if (known !== undefined) return known
    const name = `${this.#options.name} ${text}`
    const limiter = new RedisLimiter([...limits], { ...this.#options, name })
    if (this.#limiters.size >= MOST_LIMITERS) this.#forgetOldest()
    this.#limiters.set(text, limiter)
    return limiter
  }

  async reset(key: string): Promise<void> {
    await Promise.all([...this.#limiters.values()].map((limiter) => limiter.reset(key)))
  }

  async ready(): Promise<StoreStatus> {
    const [limiter] = this.#limiters.values()
    return (await limiter?.ready()) ?? { available: true, reason: undefined }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#limiters.values()].map((limiter) => limiter.close()))
  }

  #forgetOldest(): void {
    const [oldest] = this.#limiters.keys()
    if (oldest !== undefined) this.#limiters.delete(oldest)
  }
}
