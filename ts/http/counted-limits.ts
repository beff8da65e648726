import { counterOf, type InsightInput, type LimitCounter, type Served } from '../counting.ts'
import type { AdapterLimiterOptions } from '../create.ts'
import { type Decision, deniedFor } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'

import { type AsyncLimiter, andThen, type Limiter, type MaybePromise } from '../limiter.ts'

import { type Algorithm, readAlgorithm } from '../options.ts'
import { isLimiter, isRemote, isStore, sharedName } from '../storage-url.ts'
import { Refused, type WaitResult } from '../wait-queue/line.ts'
import type { ResolvedHttpOptions } from './options.ts'
import type { Counters, Counting } from './request-limits.ts'

/*
 * Option `insight`: the row of a limiter. Its decisions are counted where they are made, by the limiter inside, which is
 * given that same row.
 */

/** The row of one limiter. */
export interface OpenedRow {
  readonly row: LimitCounter
  /** By key it is asked under these limits, and with its blocks in steps, which a reset forgets too. */
  serve(opened: Counters, limits: readonly Limit[], withBlocks: Counters): void
  /** The limiter is closed. The row of a limiter that was passed in stays: it belongs to that. */
  end(): void
}

/** The options that say what a row is called. */
type RowOptions = Pick<ResolvedHttpOptions, 'scope' | 'limiter' | 'dryRun' | 'storage' | 'lasting'>

/**
 * Opens the row.
 *
 * @param place what the limiter is called without a name
 */
export function openRow(
  insight: InsightInput,
  { scope, limiter, dryRun, storage, lasting }: RowOptions,
  limits: readonly Limit[] | undefined,
  place: string,
): OpenedRow {
  const own = isLimiter(storage) ? counterOf(storage) : undefined
  if (own !== undefined) return { row: own, serve: () => {}, end: () => {} }
  const name = lasting?.shown ?? scope ?? limiter.name ?? place
  const algorithm = algorithmOf(storage, limiter.algorithm)
  const row = insight.counter({ name, limits, algorithm, tier: tierOf(storage), dryRun })
  let served: Served | undefined
  return {
    row,
    serve: (opened, limits, withBlocks) => {
      if (isLimiter(storage)) return
      // The insight holds it weakly.
      served = servedWith(opened, limits, withBlocks)
      row.serves(served)
    },
    end: () => {
      served = undefined
      row.close()
    },
  }
}

function servedWith(
  opened: Counters & Pick<Served, 'stats'>,
  limits: readonly Limit[],
  counters: Counters,
): Served {
  const inner = opened.with(limits) as Served
  const limiter = counters.with(limits)
  const served: Served = {
    limits: limiter.limits,
    check: (key, cost) => limiter.check(key, cost),
    peek: (key, cost) => limiter.peek(key, cost),
    take: (key, cost) => limiter.take(key, cost),
    refund: (key, units) => limiter.refund(key, units),
    block: (key, ms) => limiter.block(key, ms),
    delay: (...all) => limiter.delay(...all),
    noteDenial: (...denial) => limiter.noteDenial?.(...denial),
    standings: (key, decision) => limiter.standings(key, decision),
    reset: (key) => counters.reset(key),
    wait: (key, options) => inner.wait(key, options),
    // Those of limits that vary belong to all of them together.
    stats: () => inner.stats?.() ?? opened.stats?.() ?? {},
    close: () => {},
  }
  if (inner.liveKeys !== undefined) served.liveKeys = () => inner.liveKeys?.() ?? 0
  const status = inner.storeStatus?.bind(inner)
  if (status !== undefined) served.storeStatus = status
  return served
}

function algorithmOf(storage: unknown, given: unknown): Algorithm {
  const own = isLimiter(storage) ? (storage as Partial<AsyncLimiter>).algorithm : given
  return readAlgorithm(own ?? 'token-bucket', 'algorithm')
}

function tierOf(storage: unknown): 'memory' | 'shared' | 'redis' | 'store' {
  const place = isLimiter(storage) ? (storage as Partial<AsyncLimiter>).storage : storage
  if (isStore(place)) return 'store'
  if (isRemote(place)) return 'redis'
  return sharedName(place) === undefined ? 'memory' : 'shared'
}

/** Makes counters that count in the row, which is given up if that fails. */
export function makeCounted(
  { row, end }: OpenedRow,
  storage: unknown,
  toOpen: AdapterLimiterOptions,
  make: (toOpen: AdapterLimiterOptions) => Counters,
): Counters {
  try {
    if (!isLimiter(storage)) return make({ ...toOpen, insight: leadingTo(row) })
    const counters = make(toOpen)
    return counterOf(storage) === row ? counters : withCounts(counters, row)
  } catch (error) {
    end()
    throw error
  }
}

/** For the limiter that is opened inside: it counts in the same row. */
function leadingTo(row: LimitCounter): InsightInput {
  return { counter: () => row, shielded: () => {} }
}

/** Counters of a limiter that was passed in and counts in no insight, for that of the adapter. */
function withCounts(counters: Counters, counter: LimitCounter): Counters {
  return { ...counters, with: (limits) => counted(counters.with(limits), counter) }
}

function counted(limiter: Counting, counter: LimitCounter): Counting {
  const noted = (key: string, decision: Decision, cost = 1): Decision => {
    if (cost > 0) counter.decided(key, decision)
    return decision
  }
  return {
    limits: limiter.limits,
    check: (key, cost) => andThen(limiter.check(key, cost), (found) => noted(key, found, cost)),
    // A caller whose `take` is denied waits, or asks by `check`.
    take: (key, cost) =>
      andThen(limiter.take(key, cost), (found) =>
        found.allowed ? noted(key, found, cost) : found,
      ),
    delay: (...asked) => delayed(limiter, counter, asked),
    noteDenial: (key, denial) => {
      counter.decided(key, denial.allowed ? deniedFor(denial, 1) : denial)
    },
    refund: (key, units) => andThen(limiter.refund(key, units), () => counter.refunded()),
    peek: (key, cost) => limiter.peek(key, cost),
    standings: (key, decision) => limiter.standings(key, decision),
    block: (key, ms) => limiter.block(key, ms),
  }
}

function delayed(
  limiter: Counting,
  counter: LimitCounter,
  asked: Parameters<Limiter['delay']>,
): MaybePromise<WaitResult<Decision>> {
  const [key] = asked
  return andThen(limiter.delay(...asked), (outcome) => {
    if (!(outcome instanceof Refused)) counter.decided(key, outcome)
    else if (outcome.reason === 'gone') counter.gaveUp(key)
    return outcome
  })
}
