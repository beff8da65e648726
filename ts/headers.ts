import type { Decision } from './decision.ts'

/** Which headers a response carries: the three of RateThrottle's Flask page, or none. */
export type HeaderStyle = 'legacy' | false

/** Sets one header of a response. */
export type SetHeader = (name: string, value: number) => void

/**
 * `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (epoch seconds, rounded up).
 * The only place where the wall clock is read: no decision depends on it.
 */
export function setLegacyHeaders(decision: Decision, set: SetHeader): void {
  set('x-ratelimit-limit', decision.limit)
  set('x-ratelimit-remaining', decision.remaining)
  set('x-ratelimit-reset', Math.ceil((Date.now() + decision.resetMs) / 1000))
}
