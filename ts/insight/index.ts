import type { InsightOptions } from './options.ts'
import { Insight } from './view.ts'

export type { ConfigStatus, InsightInput, RouteOutcome } from '../counting.ts'
export type * from './alerts/index.ts'
export { alerts, slack, webhook } from './alerts/index.ts'
export type { MetricsFormat, MetricsOptions } from './formats/prometheus.ts'
export type { MetricRegistry } from './formats/register.ts'
export type { OtelMeter } from './open-telemetry.ts'
export type { InsightOptions } from './options.ts'
export type { InsightPage, PageOptions, PageQuestion } from './page/index.ts'
export type * from './types.ts'
export type { Insight, ReportOptions } from './view.ts'

/**
 * Makes an insight: it counts what the limiters and adapters do that get it as option `insight`.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function insight(options: InsightOptions = {}): Insight {
  return new Insight(options)
}
