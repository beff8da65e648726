import { MapCounts, type PermitCounts } from './counts.ts'
import type { ResolvedConcurrency } from './options.ts'
import type { ConcurrencyLimits } from './types.ts'

/** Opens the counts of a limiter of this process or host. */
export function openCounts(
  { perKey, total }: ConcurrencyLimits,
  _sharing: Pick<ResolvedConcurrency, 'name' | 'shared' | 'capacity'>,
): PermitCounts {
  const none = Number.POSITIVE_INFINITY
  return new MapCounts(perKey ?? none, total ?? none)
}
