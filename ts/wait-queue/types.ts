import type { LimitCounter } from '../counting.ts'
import type { ResolvedOptions } from '../options.ts'

/** Whether the client or function that waits is still there. */
export interface Caller {
  readonly isGone: boolean
  /** Calls `gone` once when the caller goes, unless the function that it returns has been called. */
  watch(gone: () => void): () => void
}

/** Why a queue refused a caller. */
export type Reason =
  /** Its turn would come after its deadline, or has not come by then. */
  | 'late'
  /** As many callers wait for the key as may. */
  | 'crowded-key'
  /** As many callers wait for the limiter as may. */
  | 'crowded'
  /** The caller has gone. */
  | 'gone'

/** How many callers may wait, and by which clock. Queues with one `room` have `maxWaiters` in common. */
export type QueueOptions = Pick<ResolvedOptions, 'clock' | 'maxWaitersPerKey' | 'maxWaiters'> & {
  readonly room?: { taken: number } | undefined
  /** Where an insight counts those who wait. */
  readonly counter?: Pick<LimitCounter, 'waited' | 'gaveUp' | 'queued'> | undefined
}
