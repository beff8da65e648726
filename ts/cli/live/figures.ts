import type { Report, Series } from '../../insight/types.ts'
import { readDuration } from '../../limit/parse.ts'
import { Failure, type Given, Misuse } from '../command.ts'
import { mergeReports, mergeSeries } from './merge.ts'
import { askEach, type Process, processes } from './processes.ts'

/** A process with what it has counted. */
export interface ReadProcess {
  readonly about: Process['about']
  readonly report: Report
}

/** What all processes that are meant have counted, at one time. */
export interface Reading {
  /** By `performance.now()`. */
  readonly at: number
  /** Those that share their figures stand here once. */
  readonly processes: ReadonlyMap<string, ReadProcess>
}

export async function readingOf(given: Given, since: string | undefined): Promise<Reading> {
  const counting = distinct(await processes(given))
  const reports = allOf(await askEach(counting, { command: 'report', since }))
  const at = performance.now()
  const read = counting.map(({ path, about }, i) => {
    const id = about.shared === undefined ? `${about.pid} ${path}` : `shared ${about.shared}`
    return [id, { about, report: reports[i] as Report }] as const
  })
  return { at, processes: new Map(read) }
}

/** One report of all of them: the sums of their figures. */
export function sumOfReading({ processes: read }: Reading): Report {
  return mergeReports([...read.values()].map(({ report }) => report))
}

/** The same, read now. */
export async function reportOf(given: Given, since: string | undefined): Promise<Report> {
  return sumOfReading(await readingOf(given, since))
}

/** The same for the last hour, minute by minute. */
export async function seriesOf(given: Given): Promise<readonly Series[]> {
  const counting = distinct(await processes(given))
  return mergeSeries(allOf(await askEach(counting, { command: 'series', unit: 'minute' })).flat())
}

/** A time on the command line, checked before a process is asked. */
export function readSince(given: Given): string | undefined {
  const since = given.value('since')
  if (since === undefined) return undefined
  try {
    readDuration(since, '--since')
    return since
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

/** One of those that share their figures, and each of the others. */
function distinct(all: readonly Process[]): readonly Process[] {
  const seen = new Set<string>()
  return all.filter(({ about: { shared } }) => {
    if (shared === undefined) return true
    const isNew = !seen.has(shared)
    seen.add(shared)
    return isNew
  })
}

/** Sums that leave a process out would be wrong without a word. */
function allOf<T>(answers: readonly { readonly pid: number; answer?: T; error?: string }[]): T[] {
  return answers.map(({ pid, answer, error }) => {
    if (answer !== undefined) return answer
    throw new Failure(`process ${pid}: ${error}`)
  })
}
