import type { Decision } from './decision.ts'
import { mustBe } from './errors.ts'
import type { Limit } from './limit/limit.ts'
import type { Standing } from './tier.ts'

/**
 * Which headers a response carries: `'legacy'` for the three of RateThrottle's Flask page, `'draft'` for
 * `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10, `'both'`, or none.
 */
export type HeaderStyle = 'legacy' | 'draft' | 'both' | false

/** Sets one header of a response. */
export type SetHeader<Response> = (response: Response, name: string, value: string) => void

/** A limit as clients are told about it. */
export interface Policy {
  readonly name: string
  readonly limit: Limit
}

const STYLES: readonly unknown[] = ['legacy', 'draft', 'both', false]
/** RFC 9651, 3.3.1: an Integer has at most 15 digits. */
const MAX_INTEGER = 999_999_999_999_999
const MAX_NAME_LENGTH = 64
const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** @throws RangeError unless it is a {@link HeaderStyle}; nothing means `'legacy'` */
export function readHeaderStyle(value: unknown): HeaderStyle {
  if (value === undefined) return 'legacy'
  if (STYLES.includes(value)) return value as HeaderStyle
  throw new RangeError(mustBe('headers', '"legacy", "draft", "both" or false', value))
}

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

/** One member of `RateLimit-Policy`: name, quota, and the window if it is one of whole seconds. */
export function policyItem({ name, limit }: Policy): string {
  const seconds = limit.windowMs / 1000
  const window = Number.isInteger(seconds) ? `;w=${integer(seconds)}` : ''
  return `${quoted(name)};q=${integer(limit.count)}${window}`
}

/** One member of `RateLimit`: name, what is left, and the seconds until there is more, unless it is full. */
export function standingItem(name: string, { remaining, moreMs }: Standing): string {
  const more = moreMs === Number.POSITIVE_INFINITY ? '' : `;t=${integer(Math.ceil(moreMs / 1000))}`
  return `${quoted(name)};r=${integer(remaining)}${more}`
}

/** The name of a limit that was given none: `100-in-1min`. */
export function defaultName({ count, windowMs }: Limit): string {
  const [ms, unit] = UNITS.find(([size]) => windowMs % size === 0) ?? [1, 'ms']
  return `${count}-in-${windowMs / ms}${unit}`
}

/** @throws TypeError or RangeError unless it can be sent as a String of RFC 9651: printable ASCII */
export function checkPolicyName(value: unknown, name: string): string {
  const accepted = `1 to ${MAX_NAME_LENGTH} printable ASCII characters`
  if (typeof value !== 'string') throw new TypeError(mustBe(name, accepted, value))
  const fits = value !== '' && value.length <= MAX_NAME_LENGTH && /^[\x20-\x7e]*$/.test(value)
  if (!fits) throw new RangeError(mustBe(name, accepted, value))
  return value
}

/** RFC 9651, 4.1.6: only `\` and `"` need escaping among printable ASCII. */
function quoted(name: string): string {
  return `"${name.replaceAll(/["\\]/g, '\\$&')}"`
}

function integer(value: number): string {
  return String(Math.min(Math.max(Math.trunc(value), 0), MAX_INTEGER))
}
