import type { Decision } from '../decision.ts'
import type { HttpAdapter } from './adapter.ts'

export const LIMIT = 'x-ratelimit-limit'
export const REMAINING = 'x-ratelimit-remaining'
export const RESET = 'x-ratelimit-reset'
export const RETRY_AFTER = 'retry-after'

export const LEGACY_HEADERS: readonly string[] = [LIMIT, REMAINING, RESET]
const FIGURES: readonly string[] = [...LEGACY_HEADERS, RETRY_AFTER]

/** Where headers go: a response, or an object that collects them. */
export type HeaderSink = Pick<HttpAdapter, 'setHeader' | 'setFigures' | 'isFinished'>

export const COLLECTOR: HeaderSink = {
  setHeader: (headers: Record<string, string>, name, value) => {
    headers[name] = value
  },
  setFigures: (headers, ...figures) => setEach(COLLECTOR, headers, figures),
  isFinished: () => false,
}

/** `setFigures` where a header is set no faster together with others. */
export function setEach<Target extends object>(
  sink: Pick<HttpAdapter<never, Target>, 'setHeader' | 'isFinished'>,
  target: Target,
  figures: readonly (string | undefined)[],
): void {
  if (sink.isFinished(target)) return
  for (const [i, figure] of figures.entries()) {
    if (figure !== undefined) sink.setHeader(target, FIGURES[i] as string, figure)
  }
}

/**
 * `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (epoch seconds, rounded up), all three of
 * the limit that decides. Only here the wall clock is read: no decision depends on it.
 *
 * @param remaining what is left of that limit: the decision's own, unless it is less under another limit
 * @param retryAfter the value of `Retry-After`, if it is to be set as well
 */
export function setLegacyHeaders(
  decision: Decision,
  remaining: number,
  target: object,
  sink: HeaderSink,
  retryAfter: string | undefined = undefined,
): void {
  // As text: a number would be turned into text twice on its way out, once to be checked.
  const limit = limitText.of(decision.limit)
  const reset = resetText.of(resetAt(decision))
  sink.setFigures(target, limit, String(remaining), reset, retryAfter)
}

/** A number as text, cached: many requests in a row have the same one. */
class LastText {
  #number = 0
  #text = '0'

  of(number: number): string {
    if (number !== this.#number) {
      this.#number = number
      this.#text = String(number)
    }
    return this.#text
  }
}

const limitText = new LastText()
const resetText = new LastText()

/** Never earlier than `Retry-After`, which is rounded to whole seconds on its own. */
function resetAt({ allowed, limitResetMs, retryAfter }: Decision): number {
  const ms = allowed ? limitResetMs : Math.max(limitResetMs, (retryAfter ?? 0) * 1000)
  return Math.ceil((Date.now() + ms) / 1000)
}

/** `Retry-After`, on denials: not where waiting does not help. */
export function setRetryAfter(
  { allowed, retryAfter }: Decision,
  target: object,
  sink: HeaderSink,
): void {
  if (!allowed && retryAfter !== undefined) sink.setHeader(target, RETRY_AFTER, String(retryAfter))
}
