import type { LimitCounter } from '../counting.ts'
import type { Decision } from '../decision.ts'
import { type ConcurrencyReason, permitDenial } from '../errors.ts'
import { andThen, type LimitStatus } from '../limiter.ts'
import type { ConcurrencyLimits } from '../permits/types.ts'
import { HeldUnits } from './held-units.ts'
import type { ResolvedHttpOptions } from './options.ts'
import type { RequestPermits } from './permits.ts'
import type { Counting, LimitsSource, RequestLimits } from './request-limits.ts'
import type { DenialTemplate } from './response.ts'

/*
 * Permits in the place of limits: what headers say of them, and what stands for the limits where there are none.
 */

/** What headers call a limit of permits. */
const NAME = 'concurrent'
const NAME_OF_TOTAL = 'concurrent-total'

interface PermitNames {
  /** The limits that a refusal for want of a permit names: those of the request, with the permits' state. */
  refusing(
    limits: RequestLimits,
    reason: ConcurrencyReason,
    template: DenialTemplate,
  ): RequestLimits
}

/** What permits are called, in headers and in bodies by RFC 9457. */
export function permitNames({ perKey, total }: ConcurrencyLimits): PermitNames {
  const isBoth = perKey !== undefined && total !== undefined
  return {
    refusing: ({ policyText, held }, reason, template) => ({
      limiter: NONE_LEFT,
      names: [isBoth && reason === 'total' ? NAME_OF_TOTAL : NAME],
      policyText,
      held,
      refused: { reason, template },
    }),
  }
}

/** The permits' members of `RateLimit-Policy`: a quota of requests at a time has no window. */
export function permitPolicy({ perKey, total }: ConcurrencyLimits): string {
  const item = (name: string, quota: number): string =>
    `"${name}";q=${quota};qu="concurrent-requests"`
  const own = perKey === undefined ? [] : [item(NAME, perKey)]
  if (total === undefined) return own.join()
  return [...own, item(perKey === undefined ? NAME : NAME_OF_TOTAL, total)].join(', ')
}

/** Limits whose headers name the permits as well, and which are ready and closed together with them. */
export function shownWith(
  source: LimitsSource,
  permits: Pick<RequestPermits, 'ready' | 'close'>,
  policy: string,
): LimitsSource {
  const known = new WeakMap<RequestLimits, RequestLimits>()
  const shown = (limits: RequestLimits): RequestLimits => {
    const { policyText } = limits
    const found = known.get(limits) ?? {
      ...limits,
      policyText: policyText === '' ? policy : `${policyText}, ${policy}`,
    }
    known.set(limits, found)
    return found
  }
  return {
    ...source,
    fixed: source.fixed && shown(source.fixed),
    of: (request) => andThen(source.of(request), (limits) => limits && shown(limits)),
    ready: async () => {
      const [ofLimits, ofPermits] = await Promise.all([source.ready(), permits.ready()])
      return ofLimits.available ? ofPermits : ofLimits
    },
    close: () => {
      source.close()
      permits.close()
    },
  }
}

/** What stands for the limits where only the number of requests at a time is limited: it admits all of them. */
export function withoutLimits(options: ResolvedHttpOptions, place: string): LimitsSource {
  const counter = openCounter(options, place)
  const fixed: RequestLimits = {
    limiter: admitting(options, counter?.row),
    names: [],
    policyText: '',
    held: new HeldUnits(undefined, undefined),
  }
  return {
    fixed,
    of: () => fixed,
    // What permits count are requests under way: they are given back as those end.
    reset: () => {},
    ready: async () => ({ available: true, reason: undefined }),
    close: () => counter?.end(),
    counter: counter?.row,
  }
}

/** The row of an insight. */
function openCounter(options: ResolvedHttpOptions, place: string) {
  if (options.insight === undefined) return undefined
  const loaded = require('./counted-limits.js') as typeof import('./counted-limits.ts')
  return loaded.openRow(options.insight, options, [], place)
}

function admitting(
  { concurrent }: ResolvedHttpOptions,
  counter: LimitCounter | undefined,
): Counting {
  const admission = permitAdmission(concurrent ?? {})
  const admit = (key: string, cost = 1): Decision => {
    if (cost > 0) counter?.decided(key, admission)
    return admission
  }
  return {
    limits: [],
    check: admit,
    take: admit,
    delay: admit,
    peek: () => admission,
    refund: () => counter?.refunded(),
    block: () => {},
    standings: () => [],
    noteDenial: (key, denial) => counter?.decided(key, denial),
  }
}

/**
 * The decision that permits without limits make: they say nothing about the requests to come. In the order of a wide
 * decision (`ts/decision.ts`), because of the number that is none.
 */
function permitAdmission({ perKey, total }: ConcurrencyLimits): Decision {
  return {
    policy: 0,
    allowed: true,
    limit: perKey ?? total ?? 0,
    remaining: Number.POSITIVE_INFINITY,
    resetMs: 0,
    limitResetMs: 0,
    retryAfterMs: 0,
    retryAfter: 0,
  }
}

/** One permit short: when one comes free is not known, so clients are told to come back after a second. */
const NO_PERMIT: readonly LimitStatus[] = [{ remaining: 0, moreMs: 1_000 }]

/** Says how permits stand after a refusal. Nothing else is asked of it, and there is nothing to give back. */
const NONE_LEFT: Counting = {
  limits: [],
  check: () => permitDenial(0),
  take: () => permitDenial(0),
  peek: () => permitDenial(0),
  delay: () => permitDenial(0),
  refund: () => {},
  block: () => {},
  standings: () => NO_PERMIT,
}
