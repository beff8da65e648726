import type { InsightOptions } from './options.ts'
import { Insight } from './view.ts'

export type { RouteOutcome } from '../counting.ts'
export type { InsightOptions } from './options.ts'
export type * from './types.ts'
export type { Insight } from './view.ts'

/**
 * Makes an insight: it counts what the limiters and adapters do that get it as option `insight`.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function insight(options: InsightOptions = {}): Insight {
  return new Insight(options)
}
