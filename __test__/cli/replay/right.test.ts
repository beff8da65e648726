import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseLimits } from 'ratethrottle'
import { afterAll, expect, it } from 'vitest'
import { FLAWS, type Flaw } from '../../../dist/cli/replay/entry.js'
import { byLength } from '../../fixtures/long.ts'
import { randomFor } from '../../fixtures/random.ts'
import { randomLog } from './random-log.ts'
import { reported } from './replayed.ts'
import { type Read, slowReplay } from './slow-model.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'replay-right-'))
afterAll(() => rmSync(FOLDER, { recursive: true }))

/** Times from 2024 on, with a leap day and the end of a year. */
const STARTS = [Date.UTC(2024, 1, 28, 23), Date.UTC(2025, 11, 31, 22), Date.UTC(2026, 9, 25)]

const CASES = [
  { algorithm: 'token-bucket', limits: '20/minute', burst: 5, blockForMs: 0, key: 'ip' },
  {
    algorithm: 'leaky-bucket',
    limits: '2/minute',
    burst: undefined,
    blockForMs: 0,
    key: 'ip+path',
  },
  {
    algorithm: 'sliding-window',
    limits: '10/minute; 100/hour',
    burst: undefined,
    blockForMs: 0,
    key: 'ip',
  },
  {
    algorithm: 'sliding-log',
    limits: '10/minute',
    burst: undefined,
    blockForMs: 90_000,
    key: 'ip',
  },
  { algorithm: 'fixed-window', limits: '3/10s', burst: undefined, blockForMs: 0, key: 'user' },
] as const

const KEYS: Readonly<Record<string, (read: Read) => string | undefined>> = {
  ip: ({ ip }) => ip,
  user: ({ user }) => user,
  'ip+path': ({ ip, path }) => `${ip} ${path}`,
}

it.each(CASES)(
  'refuses what a slow model refuses: $algorithm $limits by $key',
  async ({ algorithm, limits, burst, blockForMs, key }) => {
    const random = randomFor(`replay ${algorithm}`)
    const lines = randomLog(random, byLength(2_000, 200_000), random.pick(STARTS))
    const file = join(FOLDER, `${algorithm}.log`)
    writeFileSync(file, lines.join(random.pick(['\n', '\r\n'])))
    const more = [
      ...(burst === undefined ? [] : ['--burst', `${burst}`]),
      ...(blockForMs === 0 ? [] : ['--block-for', `${blockForMs} ms`]),
    ]
    const report = await reported(
      ...[file, '--limits', limits, '--algorithm', algorithm, '--key', key, '--top', '1000'],
      ...more,
    )
    const terms = { algorithm, limits: parseLimits(limits), burst, blockForMs }
    const model = slowReplay(lines, terms, KEYS[key])
    expect(model.refused).toBeGreaterThan(50)
    const [trial] = report.limits
    expect(report).toMatchObject({ requests: model.requests, late: 0, clients: model.clients.size })
    expect(trial?.refused).toBe(model.refused)
    expect(refusedBy(trial?.topClients)).toEqual(
      sorted([...model.clients].map(([name, { refused }]) => [name, refused])),
    )
    expect(refusedBy(trial?.topRoutes)).toEqual(sorted([...model.routes]))
    expect(sorted((trial?.topMinutes ?? []).map(({ time, refused }) => [time, refused]))).toEqual(
      sorted([...model.minutes].map(([at, n]) => [new Date(at * 60_000).toISOString(), n])),
    )
    const at = (share: number) => model.peaks[Math.ceil(model.peaks.length * share) - 1]
    expect(report.busiestMinute).toEqual({
      p50: at(0.5),
      p99: at(0.99),
      p999: at(0.999),
      most: at(1),
    })
    const flaws = report.unreadable.map(({ why, lines: count }) => [why, count] as const)
    const expected = [...model.flaws].map(([flaw, count]) => [FLAWS[flaw as Flaw], count] as const)
    expect(sorted(flaws)).toEqual(sorted(expected))
  },
)

function refusedBy(found: readonly { name: string; refused: number }[] = []) {
  return sorted(found.map(({ name, refused }) => [name, refused]))
}

/** Those that were refused at all, in an order of their own. */
function sorted(pairs: readonly (readonly [string, number])[]): [string, number][] {
  return pairs
    .filter(([, count]) => count > 0)
    .map(([name, count]): [string, number] => [name, count])
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
}
