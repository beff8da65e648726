import type { Report, Series } from '../../insight/types.ts'
import { readDuration } from '../../limit/parse.ts'
import { Failure, type Given, Misuse } from '../command.ts'
import { mergeReports, mergeSeries } from './merge.ts'
import { askEach, type Process, processes } from './processes.ts'

/** One report of all processes that are meant: the sums of their figures. */
export async function reportOf(given: Given, since: string | undefined): Promise<Report> {
  const counting = distinct(await processes(given))
  const answers = await askEach(counting, { command: 'report', since })
  return mergeReports(allOf(answers))
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
