import type { Decision } from './decision.ts'

/** Which headers a response carries: the three of RateThrottle's Flask page, or none. */
export type HeaderStyle = 'legacy' | false

/** Sets one header of a response. */
export type SetHeader<Response> = (response: Response, name: string, value: string) => void

/**
 * `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (epoch seconds, rounded up).
 * The only place where the wall clock is read: no decision depends on it.
 */
export function setLegacyHeaders<Response>(
  decision: Decision,
  response: Response,
  set: SetHeader<Response>,
): void {
  // As text: a number would be turned into text twice on its way out, once to be checked.
  set(response, 'x-ratelimit-limit', String(decision.limit))
  set(response, 'x-ratelimit-remaining', String(decision.remaining))
  set(response, 'x-ratelimit-reset', String(Math.ceil((Date.now() + decision.resetMs) / 1000)))
}
