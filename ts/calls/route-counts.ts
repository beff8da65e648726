import type { InsightInput, LimitCounter } from '../counting.ts'
import type { HttpAdapter } from '../http/adapter.ts'
import type { RequestCounts } from '../http/request-counts.ts'
import type { CallLimiter } from './call-limiter.ts'

/** Option `insight`: what becomes of calls, by what they call, in the row of the limiter that decides about them. */
export class RouteCounts {
  readonly #insight: InsightInput
  readonly #adapter: HttpAdapter
  readonly #place: string
  readonly #known = new Map<LimitCounter, RequestCounts>()
  #withoutLimits: LimitCounter | undefined

  /** @param place names the row of calls that have no limits, only permits or nothing */
  constructor(insight: InsightInput, adapter: HttpAdapter, place: string) {
    this.#insight = insight
    this.#adapter = adapter
    this.#place = place
  }

  of(limiters: readonly CallLimiter[]): RequestCounts {
    const row = limiters.find((limiter) => limiter.row !== undefined)?.row ?? this.#ownRow()
    const known = this.#known.get(row)
    if (known !== undefined) return known
    // Loaded on demand: most programs have no insight.
    const { RequestCounts } =
      require('../http/request-counts.js') as typeof import('../http/request-counts.ts')
    const counts = new RequestCounts(this.#insight, row, this.#adapter)
    this.#known.set(row, counts)
    return counts
  }

  #ownRow(): LimitCounter {
    const about = { limits: [], algorithm: 'token-bucket', tier: 'memory' } as const
    this.#withoutLimits ??= this.#insight.counter({ name: this.#place, ...about })
    return this.#withoutLimits
  }
}
