/**
 * Removes the shared tables that a run of the tests leaves behind. They outlive their processes by design, and
 * tests kill many processes: without this each run would leave some hundred megabytes in memory.
 *
 * Several runs may go on at once on one machine. A run removes a file only if the file was made after the run
 * began and before every other run that is going on began, and if no process is attached to it. Files that may
 * be another run's stay; the run that ends last removes them.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const TABLES = join('/dev/shm', `ratethrottle-${process.geteuid?.()}`)
/** One file for each run that is going on: its name is the process, its text the tables that it found. */
const RUNS = join(tmpdir(), `ratethrottle-tests-${process.geteuid?.()}`)

/** The files of a directory, none if there is no such directory. */
function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** What the other runs that are going on found when they began. */
function foundByOthers(): Set<string>[] {
  return filesIn(RUNS).flatMap((pid) => {
    const run = join(RUNS, pid)
    if (!isAlive(Number(pid))) rmSync(run, { force: true })
    try {
      return [new Set(readFileSync(run, 'utf8').split('\n'))]
    } catch {
      // That run has ended.
      return []
    }
  })
}

/** Removes a table, or throws if processes are attached to it. */
function remove(file: string): void {
  const binding = createRequire(import.meta.url)('../crate/napi/binding.cjs')
  binding.sharedRemove(file)
}

export default function setup(): () => void {
  const { RATETHROTTLE_TEST_RUN: isWithinARun } = process.env
  // A run that a test starts must not remove what other tests of the outer run use.
  if (isWithinARun !== undefined) return () => {}
  Object.assign(process.env, { RATETHROTTLE_TEST_RUN: String(process.pid) })
  const found = new Set(filesIn(TABLES))
  const run = join(RUNS, String(process.pid))
  mkdirSync(RUNS, { recursive: true })
  writeFileSync(run, [...found].join('\n'))
  return () => {
    rmSync(run, { force: true })
    const others = foundByOthers()
    for (const file of filesIn(TABLES)) {
      if (found.has(file) || !others.every((theirs) => theirs.has(file))) continue
      try {
        remove(file)
      } catch {
        // A process is attached to it, or it is another user's. It stays.
      }
    }
  }
}
