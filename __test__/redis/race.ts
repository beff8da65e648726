import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Algorithm } from 'ratethrottle'
import { ROOT } from '../fixtures/child.ts'

/** Admitted calls for each algorithm, of one process or of all. */
export interface Race {
  readonly admitted: readonly number[]
  readonly failures: number
}

/**
 * Processes that ask for one key at once, for each algorithm in turn; they begin together. The limit is one
 * of a day, so that no token comes back while they run.
 */
export async function race(
  url: string,
  algorithms: readonly Algorithm[],
  { processes = 8, calls = 10_000, limit = '1000/day' },
): Promise<Race> {
  const args = [join(ROOT, '__test__/redis/racer.mjs'), url, limit, String(calls), ...algorithms]
  const racers = await Promise.all(Array.from({ length: processes }, () => start(args)))
  const results = await Promise.all(racers.map((go) => go()))
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
  return {
    admitted: algorithms.map((_, i) => sum(results.map(({ admitted }) => admitted[i] ?? 0))),
    failures: sum(results.map(({ failures }) => failures)),
  }
}

/** Resolves when the process is ready, to a function that starts it. */
async function start(args: string[]): Promise<() => Promise<Race>> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: ROOT })
  const lines = createInterface(child.stdout)
  await once(lines, 'line')
  return async () => {
    const result = once(lines, 'line')
    child.stdin.write('go\n')
    const [line] = await result
    return JSON.parse(String(line)) as Race
  }
}
