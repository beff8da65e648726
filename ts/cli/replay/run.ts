import { InOrder } from './in-order.ts'
import { KeyTable } from './key-table.ts'
import { type Counting, firstTime, LineCounts, LineParser, LogReader } from './log-reader.ts'
import { RequestKeys } from './request-keys.ts'
import type { Settings } from './settings.ts'
import { Source } from './sources.ts'
import { Trials } from './trials.ts'

/** Places for routes: bounded, because clients make paths up. */
const ROUTE_SLOTS = 8_192
/** Minutes with more requests of one client than this count as this many, for clients that were forgotten. */
const MAX_PEAK = 65_535

/** What is known of a run while it goes on, and when it is over. */
export interface Run {
  readonly settings: Settings
  readonly sources: readonly Source[]
  readonly counts: LineCounts
  readonly clients: KeyTable
  readonly routes: KeyTable
  readonly inOrder: InOrder
  readonly keys: RequestKeys
  readonly trials: Trials
  /** Clients that were forgotten, by their highest minute. */
  readonly forgottenPeaks: Uint32Array
  /** Why some log was not read to its end. */
  readonly failures: string[]
  isCancelled: boolean
}

/** Opens nothing yet; checks that the limits and options go together. */
export function newRun(settings: Settings): Run {
  const forgottenPeaks = new Uint32Array(MAX_PEAK + 1)
  const onForget = (peak: number): void => {
    const at = Math.min(peak, MAX_PEAK)
    forgottenPeaks[at] = (forgottenPeaks[at] as number) + 1
  }
  const trials = settings.trials.length
  // Four places for each client: rows fill unevenly.
  const slots = 2 ** Math.ceil(Math.log2(Math.max(8, settings.clients) * 4))
  const clients = new KeyTable(slots, trials, onForget)
  const routes = new KeyTable(ROUTE_SLOTS, trials)
  const limits = new Trials(settings, clients, routes)
  return {
    settings,
    sources: settings.files.map((file) => new Source(file)),
    counts: new LineCounts(),
    clients,
    routes,
    inOrder: new InOrder(limits),
    keys: new RequestKeys(settings.keyKind),
    trials: limits,
    forgottenPeaks,
    failures: [],
    isCancelled: false,
  }
}

/** Ends the reading: what has been read is counted. */
export function cancel(run: Run): void {
  run.isCancelled = true
  for (const source of run.sources) source.cancel()
}

/** A log with what comes next of it. */
interface OpenLog {
  readonly source: Source
  readonly reader: LogReader
  chunk: Buffer | undefined
  /** About when the next chunk begins. */
  nextMs: number
}

/**
 * Reads all logs to their ends, always on where time is earliest: rotated files come in their order whatever the order of
 * the arguments, and logs of several servers side by side.
 *
 * @param onChunk told now and then
 * @throws Error before anything is counted, for a log that can't be opened
 */
export async function readLogs(run: Run, onChunk: () => void): Promise<void> {
  let open = await openLogs(run)
  while (open.length > 0 && !run.isCancelled) {
    const log = open.reduce((first, other) => (other.nextMs < first.nextMs ? other : first))
    if (log.chunk !== undefined) log.reader.push(log.chunk)
    log.nextMs = Math.max(log.nextMs, log.reader.lastMs)
    onChunk()
    log.chunk = await nextOf(log.source, run)
    if (log.chunk === undefined) {
      // What is left of a log that breaks off is half a line.
      if (!run.isCancelled && !log.source.hasFailed) log.reader.end()
      open = open.filter((other) => other !== log)
    }
  }
  run.inOrder.end()
  run.trials.end()
}

async function openLogs(run: Run): Promise<OpenLog[]> {
  const { settings, clients, routes, inOrder, counts, keys } = run
  const lines = new LineParser(settings)
  const counting: Counting = { settings, clients, routes, inOrder, counts, keys, lines }
  const open: OpenLog[] = []
  for (const source of run.sources) {
    const chunk = await source.next()
    const nextMs = chunk === undefined ? 0 : firstTime(chunk, lines)
    open.push({ source, reader: new LogReader(source.name, counting), chunk, nextMs })
  }
  return open
}

/** The next chunk of a log; one that fails ends there, and the run says so. */
async function nextOf(source: Source, run: Run): Promise<Buffer | undefined> {
  try {
    return await source.next()
  } catch (error) {
    run.failures.push(error instanceof Error ? error.message : String(error))
    return undefined
  }
}
