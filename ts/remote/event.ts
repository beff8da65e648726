import { channel } from 'node:diagnostics_channel'
import type { FailureReason } from './failure.ts'

/** Redis has stopped or has begun to decide. */
export interface StoreChange {
  /** Whether Redis decides from now on. If not, `onError` does. */
  readonly available: boolean
  /** Why not, or why not until now. */
  readonly reason: FailureReason
  /** Of a cluster: the server, as `host:port`. Else empty. */
  readonly node: string
  /** How long it was away, in milliseconds; 0 when it goes. */
  readonly downMs: number
}

/** Name of the channel of `node:diagnostics_channel` on which every {@link StoreChange} is published. */
export const STORE_CHANNEL = 'ratethrottle:store'

const published = channel(STORE_CHANNEL)

/** Calls the listeners, each function once. One that throws harms no other: it becomes a warning of the process. */
export function announce(change: StoreChange, listeners: Iterable<StoreListener>): void {
  if (published.hasSubscribers) published.publish(change)
  for (const listener of new Set(listeners)) {
    try {
      listener(change)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/** Is called at every {@link StoreChange}. */
export type StoreListener = (change: StoreChange) => void
