/**
 * Removes the shared tables that a run of the tests leaves behind. They outlive their processes by design, and
 * tests kill many processes: without this each run would leave some hundred megabytes in memory.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const DIRECTORY = join('/dev/shm', `ratethrottle-${process.getuid?.()}`)

function files(): string[] {
  return existsSync(DIRECTORY) ? readdirSync(DIRECTORY) : []
}

export default function setup(): () => void {
  const { RATETHROTTLE_TEST_RUN: isWithinARun } = process.env
  // A run that a test starts must not remove what other tests of the outer run use.
  if (isWithinARun !== undefined) return () => {}
  Object.assign(process.env, { RATETHROTTLE_TEST_RUN: String(process.pid) })
  const before = new Set(files())
  return () => {
    for (const file of files())
      if (!before.has(file)) rmSync(join(DIRECTORY, file), { force: true })
  }
}
