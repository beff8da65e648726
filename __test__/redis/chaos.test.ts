import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Algorithm } from 'ratethrottle'
import { expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { randomFor } from '../fixtures/random.ts'
import { type Admission, judge, readAdmissions, type Verdict } from './admissions.ts'
import { sleep } from './faults.ts'
import { type Server, serverForTest } from './server.ts'

const { RATETHROTTLE_CHAOS_MS: given } = process.env
/** Milliseconds for each algorithm. `npm run test:redis` sets a minute. */
const CHAOS_MS = Number(given ?? 2_000)
/** How long a process waits after fifty calls: not at all in the long form. Each limit is used up either way. */
const PAUSE_MS = given === undefined ? 20 : 0
const PROCESSES = 4
const COUNT = 40
const WINDOW_MS = 500
/** What each algorithm may admit in any window at a limit of N. */
const BOUNDS: Readonly<Record<Algorithm, (n: number) => number>> = {
  'token-bucket': (n) => 2 * n - 1,
  'leaky-bucket': (n) => 2 * n - 1,
  'sliding-window': (n) => 2 * n - 1,
  'fixed-window': (n) => 2 * n,
  'sliding-log': (n) => n,
}

interface Outcome {
  readonly asked: number
  readonly admissions: readonly Admission[]
  readonly verdict: Verdict
  readonly faults: number
}

/** Four processes send more calls than the limit admits while Redis is killed, frozen and restarted. */
async function chaos(algorithm: Algorithm, ms: number, bug = 'none'): Promise<Outcome> {
  const server = await serverForTest()
  const directory = mkdtempSync(join(tmpdir(), 'ratethrottle-chaos-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const log = join(directory, 'admissions')
  const limit = `${COUNT}/${WINDOW_MS}ms`
  const args = [server.url, log, algorithm, limit, String(PROCESSES), bug, String(PAUSE_MS)]
  const workers = await Promise.all(Array.from({ length: PROCESSES }, () => start(args)))
  const losses: number[] = []
  const faults = await inflict(server, ms, losses, `chaos ${algorithm} ${bug}`)
  const asked = await Promise.all(workers.map(stop))
  const admissions = readAdmissions(log)
  const bound = BOUNDS[algorithm]
  const verdict = judge(admissions, {
    windowUs: WINDOW_MS * 1_000,
    exact: bound(COUNT),
    local: PROCESSES * bound(Math.ceil(COUNT / PROCESSES)),
    losses,
  })
  return { asked: asked.reduce((sum, calls) => sum + calls, 0), admissions, verdict, faults }
}

async function start(args: string[]): Promise<ChildProcess> {
  const worker = fork(join(ROOT, '__test__/redis/chaos-worker.mjs'), args, { cwd: ROOT })
  await once(worker, 'message')
  return worker
}

async function stop(worker: ChildProcess): Promise<number> {
  const told = once(worker, 'message')
  worker.send('stop')
  const [{ asked }] = (await told) as [{ asked: number }]
  return asked
}

async function inflict(
  server: Server,
  ms: number,
  losses: number[],
  suite: string,
): Promise<number> {
  const random = randomFor(suite)
  const end = performance.now() + ms
  let faults = 0
  while (performance.now() < end) {
    await sleep(random.integer(300, 1_200))
    faults++
    if (random.chance(0.5)) {
      server.signal('SIGSTOP')
      await sleep(random.integer(50, 800))
      server.signal('SIGCONT')
    } else {
      losses.push(Number(process.hrtime.bigint() / 1_000n))
      server.signal('SIGKILL')
      await sleep(random.integer(0, 500))
      await server.restart()
    }
  }
  return faults
}

for (const algorithm of Object.keys(BOUNDS) as Algorithm[]) {
  if (algorithm === 'leaky-bucket') continue
  it(`${algorithm}: no window admits more than its bound while Redis is killed and frozen`, {
    timeout: 1_000_000,
  }, async () => {
    // A short run may have no fault during which something is admitted locally: then nothing is proved yet.
    let hasMet = false
    for (let run = 0; run < 4 && !hasMet; run++) {
      const { asked, admissions, verdict, faults } = await chaos(algorithm, CHAOS_MS)
      const local = admissions.filter(({ isLocal }) => isLocal).length
      const figures = `${asked} requests, ${admissions.length} admitted (${local} locally), ${faults} faults`
      console.log(`${algorithm}: ${figures}, ${JSON.stringify(verdict)}`)
      expect(verdict.violations).toBe(0)
      // A limiter that is far too strict would pass as well.
      expect(verdict.fullestExact).toBeGreaterThan(COUNT / 2)
      hasMet = local > 0 && admissions.length > local
    }
    expect(hasMet).toBe(true)
  })
}

for (const bug of ['two-budgets', 'open', 'forgets']) {
  it(`the checker finds the fault "${bug}"`, async () => {
    const { verdict } = await chaos('sliding-log', 2_000, bug)
    expect(verdict.violations).toBeGreaterThan(0)
  })
}
