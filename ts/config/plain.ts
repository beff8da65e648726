import type { Decision } from '../decision.ts'
import { RateLimitExceeded } from '../errors.ts'
import { Warnings } from '../http/events.ts'
import { type AnyHttpOptions, resolveHttpOptions } from '../http/options.ts'
import { type Counting, type LimitsSource, openLimits } from '../http/request-limits.ts'
import type { Limit } from '../limit/limit.ts'
import type { AsyncLimiter, Limiter, StoreStatus } from '../limiter.ts'
import type { WaitOptions } from '../wait.ts'
import type { Options } from './options.ts'
import { type Home, lastingOptions } from './serving.ts'

/** A limiter of a configuration, for use without HTTP: as `AsyncLimiter`, and it follows reloads. */
export type ConfigLimiter = Pick<
  AsyncLimiter,
  'limits' | 'check' | 'peek' | 'consume' | 'refund' | 'reset' | 'block' | 'wait' | 'ready'
>

/** The counters of one version of a limiter, which are those of the adapters too. */
export class PlainLimiter {
  readonly #source: LimitsSource
  readonly #counting: Counting
  /** Calls that have not ended. */
  pending = 0

  constructor(name: string, options: Options, home: Home) {
    const resolved = resolveHttpOptions(lastingOptions(name, options, home) as AnyHttpOptions)
    if (resolved.limits === undefined) {
      throw new TypeError('a limiter that has only concurrent can only be asked by an adapter')
    }
    this.#source = openLimits(resolved, new Warnings(), name, name)
    const { fixed } = this.#source
    if (fixed === undefined) {
      this.#source.close()
      throw new TypeError(
        'a limiter whose limits depend on the request can only be asked by an adapter',
      )
    }
    this.#counting = fixed.limiter
  }

  get limits(): readonly Limit[] {
    return this.#counting.limits
  }

  /** Calls the limiter. It is not closed before its last call has ended. */
  async call<T>(ask: (limiter: Counting & Pick<Limiter, 'wait'>) => T | Promise<T>): Promise<T> {
    this.pending++
    try {
      return await ask(this.#counting as Counting & Pick<Limiter, 'wait'>)
    } finally {
      this.pending--
    }
  }

  get source(): LimitsSource {
    return this.#source
  }

  ready(): Promise<StoreStatus> {
    return this.#source.ready()
  }

  close(): void {
    this.#source.close()
  }
}

/** @param current the limiter of the live version */
export function facadeOf(current: () => PlainLimiter): ConfigLimiter {
  const call: PlainLimiter['call'] = async (ask) => current().call(ask)
  const charge = (key: string, cost?: number): Promise<Decision> =>
    call((one) => one.check(key, cost))
  return {
    get limits() {
      return current().limits
    },
    check: charge,
    peek: (key, cost) => call((one) => one.peek(key, cost)),
    consume: async (key, cost) => {
      const decision = await charge(key, cost)
      if (!decision.allowed) throw new RateLimitExceeded(decision)
      return decision
    },
    refund: (key, units) => call((one) => one.refund(key, units)),
    reset: (key) => call(() => current().source.reset(key)),
    block: (key, ms) => call((one) => one.block(key, ms)),
    wait: (key, options?: WaitOptions) => call((one) => one.wait(key, options)),
    ready: () => call(() => current().ready()),
  }
}
