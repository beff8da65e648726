import { FLAWS } from './entry.ts'
import type { KeyTable } from './key-table.ts'
import type { Run } from './run.ts'
import type { Trial } from './trials.ts'

/** A client or a route that was refused. */
export interface RefusedKey {
  readonly name: string
  readonly requests: number
  readonly refused: number
  /** Most requests in one minute. */
  readonly busiestMinute: number
}

/** What one of the limits did. */
export interface TrialReport {
  readonly limits: string
  readonly algorithm: string
  readonly refused: number
  /** Of all requests, from 0 to 1. */
  readonly share: number
  readonly clientsRefused: number
  /** Clients that the limiter forgot for want of room: after that they may have been admitted too often. */
  readonly evictions: number
  readonly topClients: readonly RefusedKey[]
  readonly topMinutes: readonly { time: string; requests: number; refused: number }[]
  readonly topRoutes: readonly RefusedKey[]
}

/** Requests in the busiest minute of each client: the figures that a given share of the clients stay at or below. */
export interface Busiest {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly most: number
}

/** Everything that a run found, as `--json` prints it. */
export interface Report {
  readonly logs: readonly string[]
  readonly isComplete: boolean
  readonly lines: number
  readonly requests: number
  readonly leftOut: number
  readonly withoutKey: number
  readonly unreadable: readonly { why: string; lines: number; first: readonly string[] }[]
  /** Requests too late to be put in order: counted at the time that had been reached. */
  readonly late: number
  readonly from: string | undefined
  readonly to: string | undefined
  readonly key: string
  readonly clients: number
  /** Clients whose figures were given up for others'. */
  readonly forgottenClients: number
  readonly forgottenRoutes: number
  /** Requests whose client is a name and no address. */
  readonly namedClients: number
  readonly limits: readonly TrialReport[]
  readonly busiestMinute: Busiest | undefined
}

export function reportOf(run: Run): Report {
  const { counts, trials, clients, routes, settings } = run
  const { requests, firstMs, lastMs } = trials
  const known = clients.requests.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0)
  return {
    logs: run.sources.map(({ name }) => name),
    isComplete: !run.isCancelled && run.failures.length === 0,
    lines: counts.lines,
    requests,
    leftOut: counts.leftOut,
    withoutKey: counts.withoutKey,
    unreadable: [...counts.flaws].map(([flaw, { lines, first }]) => ({
      why: FLAWS[flaw],
      lines,
      first,
    })),
    late: run.inOrder.late,
    from: requests === 0 ? undefined : new Date(firstMs).toISOString(),
    to: requests === 0 ? undefined : new Date(lastMs).toISOString(),
    key: settings.key,
    clients: known + clients.forgotten,
    forgottenClients: clients.forgotten,
    forgottenRoutes: routes.forgotten,
    namedClients: run.keys.names,
    limits: trials.trials.map((trial, index) => trialReport(run, trial, index)),
    busiestMinute: busiestOf(run),
  }
}

function trialReport({ trials, clients, routes, settings }: Run, trial: Trial, index: number) {
  const { text, limiter, refused, clientsRefused } = trial
  const report: TrialReport = {
    limits: text,
    algorithm: limiter.algorithm,
    refused,
    share: trials.requests === 0 ? 0 : refused / trials.requests,
    clientsRefused,
    evictions: limiter.stats().evictions,
    topClients: topOf(clients, index, settings.top),
    topMinutes: trial.minutes.map(({ minute, ...counts }) => ({
      time: new Date(minute * 60_000).toISOString(),
      ...counts,
    })),
    topRoutes: topOf(routes, index, settings.top),
  }
  return report
}

/** The keys that were refused most, the worst first. */
function topOf(table: KeyTable, trial: number, top: number): RefusedKey[] {
  const refused = (slot: number): number => table.refusedOf(slot, trial)
  const worst: number[] = []
  for (let slot = 0; slot < table.slots; slot++) {
    const count = refused(slot)
    const last = worst[top - 1]
    if (count === 0 || (last !== undefined && count <= refused(last))) continue
    let at = worst.length
    while (at > 0 && refused(worst[at - 1] as number) < count) at--
    worst.splice(at, 0, slot)
    if (worst.length > top) worst.pop()
  }
  return worst.map((slot) => ({
    name: Buffer.from(table.keys[slot] ?? '', 'latin1').toString(),
    requests: table.requests[slot] as number,
    refused: refused(slot),
    busiestMinute: table.peak[slot] as number,
  }))
}

function busiestOf({ clients, forgottenPeaks }: Run): Busiest | undefined {
  const counts = forgottenPeaks.slice()
  const last = counts.length - 1
  const high: number[] = []
  for (const peak of clients.peak) {
    if (peak > last) high.push(peak)
    else if (peak > 0) counts[peak] = (counts[peak] as number) + 1
  }
  high.sort((a, b) => a - b)
  // Slot 0: requests that were read and forgotten before they were counted.
  counts[0] = 0
  const total = counts.reduce((sum, count) => sum + count, high.length)
  if (total === 0) return undefined
  const at = (share: number): number => placeIn(counts, high, Math.ceil(total * share))
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), most: at(1) }
}

/** The value at a rank, from 1 on, of those that are counted and the high ones. */
function placeIn(counts: Uint32Array, high: readonly number[], rank: number): number {
  let left = rank
  for (let value = 0; value < counts.length; value++) {
    left -= counts[value] as number
    if (left <= 0) return value
  }
  return high[left - 1] ?? counts.length - 1
}
