import type { Clock } from '../clock.ts'

/** Whether a caller is still there. */
export interface Caller {
  readonly isGone: boolean
  /** Calls `gone` once when the caller goes, unless what it returns is called before. */
  watch(gone: () => void): () => void
}

/** How many may wait, and by which clock. */
export interface QueueOptions {
  readonly clock: Clock | undefined
  readonly maxWaitersPerKey: number
  readonly maxWaiters: number
  /** What queues have in common that share `maxWaiters`. Default: nothing. */
  readonly room?: Room | undefined
}

/** How many wait in several queues together. */
export interface Room {
  taken: number
}
