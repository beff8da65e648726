import type { Excess } from './message-limits.ts'

/*
 * What a gate keeps at most, and how it closes connections.
 */

/** Most that one connection keeps in memory: more than a read of the connection brings, unless it is compressed. */
export const MAX_HELD = 16_777_216
/** Most that all connections that have closed keep, together. */
export const MAX_LEFT = 16_777_216
/** Longest that messages wait after their client has closed the connection. */
export const MAX_LEFT_MS = 30_000
/** Read from a connection that is being closed: a client that goes on sending is cut off. */
export const MAX_LATE = 1_048_576
/** A client that waits gets a sign of life after this time, and after twice as long each time, up to the longest. */
export const FIRST_BEAT_MS = 500
export const MAX_BEAT_MS = 10_000
export const POLICY_VIOLATION = 1008
export const TOO_BIG = 1009
export const INTERNAL_ERROR = 1011

/** The reason in a close frame. It says nothing about other clients. */
export function reasonOf({ reason, retryAfterMs }: Excess): string {
  if (reason === 'size' || retryAfterMs === Number.POSITIVE_INFINITY) return 'Message too big'
  const seconds = Math.ceil(retryAfterMs / 1_000)
  return `Rate limit exceeded, retry in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
}
