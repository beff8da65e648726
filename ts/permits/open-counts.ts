import type { PermitCounts } from './counts.ts'
import { NativeCounts } from './native-counts.ts'
import type { ResolvedConcurrency } from './options.ts'
import type { ConcurrencyLimits } from './types.ts'

/** Opens the counts of a limiter of this process or host. */
export function openCounts(
  limits: ConcurrencyLimits,
  sharing: Pick<ResolvedConcurrency, 'name' | 'shared' | 'capacity'>,
): PermitCounts {
  return new NativeCounts(limits, sharing)
}
