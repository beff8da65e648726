import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Insight, insight } from 'ratethrottle/insight'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'

/*
 * Against a log that each process keeps by itself: what an insight that processes share has counted.
 */

const PROCESSES = 4
const EACH = byLength(20_000, 2_500_000)
const KILLS = byLength(12, 200)

let folder: string
let name: string
let view: Insight

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ratethrottle-insight-'))
  name = `insight test ${process.pid} ${folder.slice(-6)}`
  view = insight({ name, shared: true, keys: 'plain', top: 10 })
})

afterEach(() => {
  view.close()
  rmSync(folder, { recursive: true })
})

let logs = 0

function start(decisions: number): ChildProcess {
  const file = join(folder, `log ${logs++}`)
  return fork('__test__/insight/counting.mjs', [name, `${decisions}`, file])
}

async function ended(child: ChildProcess): Promise<void> {
  await new Promise((resolve) => child.once('exit', resolve))
}

/** Admitted and denied, as the processes have noted. */
function noted(): [number, number] {
  const sums: [number, number] = [0, 0]
  for (let i = 0; i < logs; i++) {
    const file = join(folder, `log ${i}`)
    const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
    if (bytes.length < 16) continue
    sums[0] += bytes.readDoubleLE(0)
    sums[1] += bytes.readDoubleLE(8)
  }
  return sums
}

function counted(): [number, number] {
  const { admitted, denied } = view.report().totals
  return [admitted, denied]
}

it('what four processes decide is counted exactly', async () => {
  logs = 0
  const children = Array.from({ length: PROCESSES }, () => start(EACH))
  await Promise.all(children.map(ended))
  const [admitted, denied] = noted()
  expect(admitted + denied).toBe(PROCESSES * EACH)
  expect(denied).toBeGreaterThan(0)
  expect(counted()).toEqual([admitted, denied])
  const asked = view.report().top.asked.reduce((sum, { count }) => sum + count, 0)
  expect(asked).toBe(admitted + denied)
  const { limits } = view.report()
  expect(limits[0]?.deniedBy.reduce((sum, count) => sum + count, 0)).toBe(denied)
}, 300_000)

it('a kill costs at most the call in flight, and counts nothing twice', async () => {
  logs = 0
  const deaths: Promise<void>[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    const child = start(1_000_000_000)
    deaths.push(ended(child))
    const file = join(folder, `log ${logs - 1}`)
    // At a different point each time, but never before it counts.
    const least = 100 + ((kill * 7_919) % 3_000)
    while (!existsSync(file) || sumOf(file) < least) await new Promise((go) => setTimeout(go, 5))
    child.kill('SIGKILL')
    if (kill % 3 === 2) await Promise.all(deaths)
  }
  await Promise.all(deaths)
  const [admitted, denied] = noted()
  const [seenAdmitted, seenDenied] = counted()
  expect(seenAdmitted).toBeGreaterThanOrEqual(admitted)
  expect(seenDenied).toBeGreaterThanOrEqual(denied)
  expect(seenAdmitted + seenDenied - admitted - denied).toBeLessThanOrEqual(KILLS)
  // Lanes of the dead are used again: this process alone is left.
  expect(view.report().processes).toBe(1)
}, 300_000)

function sumOf(file: string): number {
  const bytes = readFileSync(file)
  return bytes.length < 16 ? 0 : bytes.readDoubleLE(0) + bytes.readDoubleLE(8)
}
