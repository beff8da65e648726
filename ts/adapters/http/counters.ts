import { openTier } from '../../create.ts'
import type { Limit, LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import { sharedSpace } from '../../storage.ts'
import { type Budget, Budgets, type Open, openBudget } from './budget.ts'
import type { BudgetSource } from './charging.ts'
import { Escalation } from './escalation.ts'
import { Lines } from './lines.ts'
import { warnOfSeveralProcesses } from './per-process.ts'
import type { ReadOptions } from './read.ts'
import type { Warnings } from './warning.ts'

/** Opens the counters that the options ask for. */
export function openCounters<Request, Response>(
  options: ReadOptions<Request, Response>,
  warnings: Warnings,
  identity: string,
): BudgetSource<Request> {
  const { limits, policy, keyTimeoutMs, storage } = options
  warnOfSeveralProcesses(storage, warnings)
  const open = (found: LimitInput): Budget => openBudget(found, policy, opener(options, identity))
  if (typeof limits === 'function') return new Budgets(limits, open, keyTimeoutMs)
  checkNames(readLimits(limits).length, policy)
  return open(limits as LimitInput)
}

/** With limits that depend on the request, each set of them has counters, and so a name, of its own. */
function opener<Request, Response>(
  options: ReadOptions<Request, Response>,
  identity: string,
): Open {
  const { limits: input, limiter, storage, forRedis, stepsMs } = options
  return (limits) => {
    const base = sharedSpace(storage) === undefined ? limiter.name : (limiter.name ?? identity)
    const isNamed = typeof input === 'function' && base !== undefined
    const name = isNamed ? `${base} ${textOf(limits)}` : base
    const tier = openTier(limits, { ...limiter, storage, forRedis, identity, name })
    const lines = linesOf(name)
    if (stepsMs === undefined) return { tier, lines }
    const { keyPrefix = '' } = forRedis
    const shared = name === undefined ? undefined : `${keyPrefix}${name} ${textOf(limits)}`
    return { tier: new Escalation(tier, stepsMs, limiter.clock, shared), lines }
  }
}

/** Those of a name: budgets that share counters share the lines of those who wait for them. */
const LINES = new Map<string, Lines>()

function linesOf(name: string | undefined): Lines {
  if (name === undefined) return new Lines()
  const lines = LINES.get(name) ?? new Lines()
  LINES.set(name, lines)
  return lines
}

function textOf(limits: readonly Limit[]): string {
  return limits.map(({ count, windowMs }) => `${count}/${windowMs}ms`).join(';')
}

function checkNames(limits: number, names: readonly string[]): void {
  if (names.length <= limits) return
  throw new RangeError(`policy has ${names.length} names for ${limits} limits`)
}
