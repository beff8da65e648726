import { type CountedShield, type InsightInput, readInsight } from '../counting.ts'
import type { HttpAdapter } from '../http/adapter.ts'
import type { AnyHttpOptions } from '../http/options.ts'
import { RequestCounts } from '../http/request-counts.ts'

/** What a shield without a name is called. */
const UNNAMED = 'shield'

/**
 * Shows a shield in the insight that the options name.
 *
 * @returns makes the row of requests that it refuses where no limiter counts them; `undefined` without an insight
 */
export function openShieldCounts(
  { insight: given, shield, scope, name }: AnyHttpOptions,
  guard: object,
  adapter: HttpAdapter,
): (() => RequestCounts) | undefined {
  if (given === undefined) return undefined
  const insight: InsightInput = readInsight(given, 'insight')
  const { name: own } = shield as { readonly name?: string | undefined }
  const shown = own ?? scope ?? name ?? UNNAMED
  insight.shielded(shown, guard as CountedShield)
  let counts: RequestCounts | undefined
  return () => {
    const about = { name: shown, limits: [], algorithm: 'token-bucket', tier: 'memory' } as const
    counts ??= new RequestCounts(insight, insight.counter(about), adapter)
    return counts
  }
}
