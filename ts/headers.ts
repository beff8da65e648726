import type { Decision } from './decision.ts'

/** Which headers a response carries: the three of RateThrottle's Flask page, or none. */
export type HeaderStyle = 'legacy' | false

/** Sets one header of a response. */
export type SetHeader<Response> = (response: Response, name: string, value: number) => void

/**
 * `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (epoch seconds, rounded up).
 * The only place where the wall clock is read: no decision depends on it.
 */
export function setLegacyHeaders<Response>(
  decision: Decision,
  response: Response,
  set: SetHeader<Response>,
): void {
  set(response, 'x-ratelimit-limit', decision.limit)
  set(response, 'x-ratelimit-remaining', decision.remaining)
  set(response, 'x-ratelimit-reset', Math.ceil((Date.now() + decision.resetMs) / 1000))
}
