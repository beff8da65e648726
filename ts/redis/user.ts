import type { StoreListener } from '../remote/event.ts'
import type { OnError } from './options.ts'

/** What a process has of a limiter's limits, and how that is known. */
export interface Share {
  /** Into how many parts the limits are cut: infinitely many for one that others do not know of yet. */
  readonly parts: number
  /** Option `processes`; those seen alive in Redis; or nothing, and the process counts alone. */
  readonly from: 'option' | 'seen' | 'nothing'
}

/** A limiter, as the connection that it shares with others sees it. */
export interface StoreUser {
  readonly deadlineMs: number
  readonly connectTimeoutMs: number
  readonly onError: OnError
  readonly onStoreChange: StoreListener | undefined
  /** With `onError: 'local'`: whose share this process decides with. */
  share(): Share
}
