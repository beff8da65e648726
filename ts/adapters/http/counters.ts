import { openTier, openVariable } from '../../create.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import { sharedSpace } from '../../storage.ts'
import type { VariableLimiter } from '../../variable.ts'
import { Budgets, budgetOf, figuresOf } from './budget.ts'
import type { BudgetSource } from './charging.ts'
import { Escalation } from './escalation.ts'
import { Lines } from './lines.ts'
import { warnOfSeveralProcesses } from './per-process.ts'
import type { ReadOptions } from './read.ts'
import { VariableEscalation } from './variable-escalation.ts'
import type { Warnings } from './warning.ts'

/** Opens the counters that the options ask for. */
export function openCounters<Request, Response>(
  options: ReadOptions<Request, Response>,
  warnings: Warnings,
  identity: string,
): BudgetSource<Request> {
  const { limits, policy, keyTimeoutMs, storage, limiter, forRedis, stepsMs } = options
  warnOfSeveralProcesses(storage, warnings)
  const name = sharedSpace(storage) === undefined ? limiter.name : (limiter.name ?? identity)
  const toOpen = { ...limiter, storage, forRedis, identity, name }
  const lines = linesOf(name)
  if (typeof limits === 'function') {
    const counters = withSteps(openVariable(toOpen), options, name)
    return new Budgets(limits, counters, lines, policy, keyTimeoutMs)
  }
  const parsed = readLimits(limits as LimitInput)
  checkNames(parsed.length, policy)
  const tier = openTier(parsed, toOpen)
  if (stepsMs === undefined) return budgetOf(tier, lines, policy)
  const shared =
    name === undefined ? undefined : `${forRedis.keyPrefix ?? ''}${name} ${figuresOf(parsed)}`
  return budgetOf(new Escalation(tier, stepsMs, limiter.clock, shared), lines, policy)
}

/** Limits of one function share what is remembered of their offenders. */
function withSteps<Request, Response>(
  counters: VariableLimiter,
  { stepsMs, limiter, forRedis }: ReadOptions<Request, Response>,
  name: string | undefined,
): VariableLimiter {
  if (stepsMs === undefined) return counters
  const shared = name === undefined ? undefined : `${forRedis.keyPrefix ?? ''}${name}`
  return new VariableEscalation(counters, (tier) => {
    return new Escalation(tier, stepsMs, limiter.clock, shared)
  })
}

/** Those of a name: budgets that share counters share the lines of those who wait for them. */
const LINES = new Map<string, Lines>()

function linesOf(name: string | undefined): Lines {
  if (name === undefined) return new Lines()
  const lines = LINES.get(name) ?? new Lines()
  LINES.set(name, lines)
  return lines
}

function checkNames(limits: number, names: readonly string[]): void {
  if (names.length <= limits) return
  throw new RangeError(`policy has ${names.length} names for ${limits} limits`)
}
