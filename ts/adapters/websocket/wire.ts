import type { Excess, MessageLimits, Sender } from './message-limits.ts'
import type { Overflow } from './options.ts'
import type { SocketLimitEvent, SocketMessage } from './types.ts'

/** A message on its way to the program: with the events that deliver it. */
export interface Passing extends SocketMessage {
  readonly events: readonly (readonly unknown[])[]
  /** Whether it costs nothing: the client takes its leave. */
  readonly isFree?: boolean
}

/** What a gate does to its connection. */
export interface Wire {
  /** Hands a message to the program. */
  deliver(message: Passing): void
  /** Reads no more from the connection, and on. */
  pause(): void
  resume(): void
  /** Writes something that means nothing: whether the client has gone shows when it is written. */
  beat(): void
  /** Begins to close the connection, with this reason. */
  close(code: number, reason: string): void
  /** Ends the connection at once. */
  cut(): void
  /** Tells the client that a message was dropped, where its protocol has a way. */
  dropped(message: Passing, excess: Excess): void
}

/** What gates of one `socketLimits` have in common. */
export interface Rules {
  readonly limits: MessageLimits
  readonly overflow: Overflow
  readonly isDryRun: boolean
  /** Bytes held for connections that have closed. */
  readonly leftovers: { bytes: number }
  /** Gates whose messages wait: they ask again when the limits are closed. */
  readonly waiting: Set<{ ask(): void }>
  failed(sender: Sender, error: unknown): void
}

/** What becomes of a message over a limit. */
export function actionOn(
  { isDryRun, overflow }: Rules,
  { retryAfterMs }: Excess,
): SocketLimitEvent['action'] {
  if (isDryRun) return 'none'
  if (overflow === 'pause' && retryAfterMs === Number.POSITIVE_INFINITY) return 'close'
  return overflow
}
