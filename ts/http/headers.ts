import type { Decision } from '../decision.ts'
import { burstOf, type Limit } from '../limit/limit.ts'
import {
  andThen,
  andThenAll,
  type LimitStatus,
  type MaybePromise,
  unlessClosed,
} from '../limiter.ts'
import type { Algorithm } from '../options.ts'
import { invalid } from '../validate.ts'
import { type ChargeRecord, isShown, tightest } from './charge-record.ts'
import { COLLECTOR, type HeaderSink, setLegacyHeaders, setRetryAfter } from './legacy-headers.ts'

/**
 * Which headers a response carries: `'legacy'` for the three of RateThrottle's Flask page, `'draft'` for
 * `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10, `'both'`, or none.
 */
export type HeaderStyle = 'legacy' | 'draft' | 'both' | false

/** What headers need of a limiter: every kind has this. */
export interface LimiterShown {
  readonly limits: readonly Limit[]
  readonly algorithm: Algorithm
}

/** The header of all limits. */
export const POLICY = 'ratelimit-policy'
const STYLES: readonly unknown[] = ['legacy', 'draft', 'both', false]
/** RFC 9651, 3.3.1: an Integer has at most 15 digits. */
const MAX_INTEGER = 999_999_999_999_999
const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** @throws RangeError unless it is a {@link HeaderStyle} */
export function readHeaderStyle(value: unknown = 'legacy'): HeaderStyle {
  if (STYLES.includes(value)) return value as HeaderStyle
  const accepted = '"legacy", "draft", "both" or false'
  throw invalid(RangeError, 'INVALID_OPTION', 'headers', accepted, value)
}

/** Whether `x-ratelimit-` headers are all that {@link showHeaders} sets, from the decision as it is. */
function isSimple(record: ChargeRecord, style: HeaderStyle): boolean {
  return style === 'legacy' && record.previous === undefined && !isMixed(record)
}

/** Whether a charge has no figures of its own: permits without limits admit it. */
export function isSilent({ limits, decision }: ChargeRecord): boolean {
  return decision.allowed && limits.names.length === 0
}

/** Whether {@link showHeaders} sets `Retry-After` as well, in the same call. */
export function showsRetryAfter(record: ChargeRecord, style: HeaderStyle): boolean {
  return record.owner.isShown && isSimple(record, style)
}

/** Sets the headers of a decision; the draft's name all limits that the request has met so far. */
export function showHeaders(
  record: ChargeRecord,
  style: HeaderStyle,
  target: object,
  sink: HeaderSink,
): MaybePromise<void> {
  if (!record.owner.isShown) return
  if (isSimple(record, style)) {
    const { allowed, remaining, retryAfter } = record.decision
    const wait = allowed || retryAfter === undefined ? undefined : String(retryAfter)
    setLegacyHeaders(record.decision, remaining, target, sink, wait)
    return
  }
  if (sink.isFinished(target)) return
  // A tighter limit has set its figures already.
  const isTightest = record.previous === undefined || tightest(record, isShown) === record
  const legacy = isTightest && style !== 'draft' && !isSilent(record) ? record : undefined
  return setHeaders(legacy, style === 'legacy' ? undefined : record, target, sink)
}

/**
 * Sets the headers of a request's limits.
 *
 * @param legacy whose figures the three `x-ratelimit-` headers carry, if they are to be set
 * @param draft the newest charge that the draft's two headers name, if they are to be set
 */
export function setHeaders(
  legacy: ChargeRecord | undefined,
  draft: ChargeRecord | undefined,
  target: object,
  sink: HeaderSink,
): MaybePromise<void> {
  if (legacy !== undefined) {
    if (isMixed(legacy)) return setMixedHeaders(legacy, draft, target, sink)
    setLegacyHeaders(legacy.decision, legacy.decision.remaining, target, sink)
  }
  if (draft !== undefined) return setDraftHeaders(draft, target, sink)
}

/** Apart from `setHeaders`: a closure there would cost every admitted request an allocation. */
function setMixedHeaders(
  legacy: ChargeRecord,
  draft: ChargeRecord | undefined,
  target: object,
  sink: HeaderSink,
): MaybePromise<void> {
  const { limits, key, decision } = legacy
  return andThen(limits.limiter.standings(key, decision), (standings) => {
    if (sink.isFinished(target)) return
    const remaining = standings[decision.policy]?.remaining ?? decision.remaining
    setLegacyHeaders(decision, remaining, target, sink)
    return setHeaders(undefined, draft, target, sink)
  })
}

function setDraftHeaders(
  newest: ChargeRecord,
  target: object,
  sink: HeaderSink,
): MaybePromise<void> {
  // In the order in which they were decided.
  const shown: ChargeRecord[] = []
  for (let at: ChargeRecord | undefined = newest; at !== undefined; at = at.previous) {
    if (at.owner.isShown) shown.unshift(at)
  }
  const policies = shown.map(({ limits }) => limits.policyText).join(', ')
  return andThen(standingsOf(shown), (standings) => {
    if (sink.isFinished(target)) return
    sink.setHeader(target, POLICY, policies)
    if (standings !== '') sink.setHeader(target, 'ratelimit', standings)
  })
}

/** The `RateLimit` header. A limiter that was closed meanwhile is left out: its counters are gone. */
function standingsOf(shown: readonly ChargeRecord[]): MaybePromise<string> {
  const texts = shown.map(({ limits, key, decision }) => {
    const asked = unlessClosed(() => limits.limiter.standings(key, decision))
    return andThen(asked, (standings) =>
      standings?.map((standing, i) => statusItem(limits.names[i] ?? '', standing)).join(', '),
    )
  })
  return andThenAll(texts, (all) => all.filter(Boolean).join(', '))
}

/** Whether another limit may have less left than the one that denies: it can deny several units and still have some. */
function isMixed({ decision, cost, limits }: ChargeRecord): boolean {
  return !decision.allowed && cost !== undefined && cost > 1 && limits.names.length > 1
}

/**
 * The headers that the adapters set, for a response that is made by hand.
 *
 * ```ts
 * const decision = await limiter.check(key)
 * for (const [name, value] of Object.entries(rateLimitHeaders(limiter, decision))) response.setHeader(name, value)
 * ```
 *
 * In the draft's `ratelimit` header an adapter lists every limit, this function the deciding one alone. Its `t`, the
 * seconds until more units are there, may be later than an adapter's, never earlier, because the counters can't be
 * looked up without the key: after an admission by `sliding-window` or `sliding-log` it is the time until the limit
 * has recovered, and after a denial of several units the time until all of them are there.
 *
 * @param limiter the limiter that decided, a `RateLimiter` or an `AsyncLimiter`
 * @param style `'legacy'` for the three `x-ratelimit-` headers of the limit that decides, `'draft'` for
 * `ratelimit-policy` with every limit and `ratelimit` with the one that decides, or `'both'`. Default: `'legacy'`
 * @returns names in lower case, and `retry-after` on a denial, unless waiting does not help
 * @throws TypeError or RangeError with code INVALID_ARGUMENT for another style, and for a value that is no
 * decision, such as a promise of one
 */
export function rateLimitHeaders(
  limiter: LimiterShown,
  decision: Decision,
  style: Exclude<HeaderStyle, false> = 'legacy',
): Record<string, string> {
  checkDecision(decision)
  if (typeof style !== 'string' || !STYLES.includes(style)) {
    const Kind = typeof style === 'string' ? RangeError : TypeError
    throw invalid(Kind, 'INVALID_ARGUMENT', 'style', '"legacy", "draft" or "both"', style)
  }
  const headers: Record<string, string> = {}
  if (style !== 'draft') setLegacyHeaders(decision, decision.remaining, headers, COLLECTOR)
  if (style !== 'legacy') {
    const names = policyNames(limiter.limits, [])
    const name = names[decision.policy]
    COLLECTOR.setHeader(headers, POLICY, policyHeader(limiter.limits, names))
    if (name !== undefined) {
      COLLECTOR.setHeader(headers, 'ratelimit', statusItem(name, statusOf(decision, limiter)))
    }
  }
  setRetryAfter(decision, headers, COLLECTOR)
  return headers
}

/** @throws TypeError unless it is a decision: most likely a promise was not awaited */
function checkDecision(decision: unknown): void {
  const { allowed, limit, limitResetMs } = (decision ?? {}) as Partial<Decision>
  const isWhole = typeof limit === 'number' && typeof limitResetMs === 'number'
  if (typeof allowed === 'boolean' && isWhole) return
  const accepted = 'a decision (write `await limiter.check(key)`)'
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'decision', accepted, decision)
}

/**
 * The status of the deciding limit, as far as its decision shows: a bucket gains one unit after another, a window
 * all at once, and of the other two algorithms only the time until all are back is known.
 */
function statusOf(decision: Decision, { limits, algorithm }: LimiterShown): LimitStatus {
  const { allowed, remaining, limitResetMs, retryAfterMs, policy } = decision
  if (!allowed && Number.isFinite(retryAfterMs)) return { remaining, moreMs: retryAfterMs }
  const limit = limits[policy]
  const isBucket = algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
  if (limitResetMs === 0) return { remaining, moreMs: Number.POSITIVE_INFINITY }
  if (!isBucket || limit === undefined) return { remaining, moreMs: limitResetMs }
  const missing = burstOf(limit) - remaining
  const later = ((missing - 1) * limit.windowMs) / limit.count
  return { remaining, moreMs: Math.max(1, limitResetMs - later) }
}

/** `RateLimit-Policy`: of each limit its name, its quota, and its window if that is whole seconds. */
export function policyHeader(limits: readonly Limit[], names: readonly string[]): string {
  const items = limits.map(({ count, windowMs }, i) => {
    const seconds = windowMs / 1000
    const window = Number.isInteger(seconds) ? `;w=${integer(seconds)}` : ''
    return `${quoted(names[i] ?? '')};q=${integer(count)}${window}`
  })
  return items.join(', ')
}

/** One member of `RateLimit`: name, units left, and the seconds until one more, unless it is full. */
function statusItem(name: string, { remaining, moreMs }: LimitStatus): string {
  const more = moreMs === Number.POSITIVE_INFINITY ? '' : `;t=${integer(Math.ceil(moreMs / 1000))}`
  return `${quoted(name)};r=${integer(remaining)}${more}`
}

/** The names that clients see: a limit that was given none is named by its figures, as in `100-in-1min`. */
export function policyNames(limits: readonly Limit[], given: readonly string[]): readonly string[] {
  return limits.map(({ count, windowMs }, i) => {
    const [ms, unit] = UNITS.find(([size]) => windowMs % size === 0) ?? [1, 'ms']
    return given[i] ?? `${count}-in-${windowMs / ms}${unit}`
  })
}

/** RFC 9651, 4.1.6: only `\` and `"` need escaping among printable ASCII. */
function quoted(name: string): string {
  return `"${name.replaceAll(/["\\]/g, '\\$&')}"`
}

function integer(value: number): string {
  return String(Math.min(Math.max(Math.trunc(value), 0), MAX_INTEGER))
}
