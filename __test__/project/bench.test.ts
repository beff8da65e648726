import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'

/** A start of Node under callgrind is a quarter of a minute's work, on a machine that may be busy. */
const LIMIT_MS = 280_000

const bench = (...words: string[]) => run('../bench/index.mjs', words, {}, [], LIMIT_MS)

async function rowsOf(...words: string[]) {
  const { code, out, err } = await bench(...words, '--json')
  expect(code, err).toBe(0)
  const lines = out.trim().split('\n')
  return lines.map((line) => JSON.parse(line))
}

// The whole suite, shortened: with so few requests its figures mean nothing.
it.runIf(process.platform === 'linux')(
  'bench instructions prints a line of JSON per server',
  async () => {
    const picked = ['--case', 'fastify-deny', '--subject', 'ratethrottle']
    const size = ['--rounds', '1', '--requests', '20']
    const { code, out, err } = await bench('instructions', ...picked, ...size, '--json')
    expect(code, err).toBe(0)
    const row = JSON.parse(out)
    expect(row).toMatchObject({ suite: 'instructions', case: 'fastify-deny', rounds: 1 })
    expect(row.perReq).toBeGreaterThan(1_000)
    expect(row).toHaveProperty('jsClockReads')
    expect(row).toHaveProperty('exactClockReads')
    expect(err).toMatch(/instructions fastify-deny: ratethrottle took \d+ s/)
  },
  LIMIT_MS,
)

it('the servers that answer by hand send the bytes that ours send', async () => {
  const frameworks = ['node', 'fastify', 'express']
  const cases = frameworks.flatMap((name) => [`${name}-admit`, `${name}-deny`])
  const { code, err } = await run('../bench/lanes/answers.mjs', cases)
  expect(code, err).toBe(0)
})

it('bench refusals measures refusals on fresh connections', async () => {
  const picked = ['--case', 'node-fresh', '--subject', 'bare,ratethrottle', '--rounds', '1']
  const rows = await rowsOf('refusals', ...picked)
  expect(rows.map((row) => row.subject)).toEqual(['bare', 'ratethrottle'])
  for (const row of rows) expect(row.perSecond).toBe(Math.round(1e6 / row.cpuUsPerReq))
}, 120_000)

it('bench redis measures a bare script beside ours', async () => {
  const picked = ['--case', 'redis-64', '--subject', 'bare-gcra,ratethrottle', '--rounds', '1']
  const rows = await rowsOf('redis', ...picked)
  expect(rows.map((row) => row.subject)).toEqual(['bare-gcra', 'ratethrottle'])
  for (const row of rows) expect(row.p99Us).toBeGreaterThanOrEqual(row.p50Us)
}, 120_000)

it('bench start tells what each package loads and what it weighs', async () => {
  const picked = byLength(['--case', 'require,size'], [])
  const rows = await rowsOf('start', '--rounds', '1', ...picked)
  const loads = rows.filter((row) => row.case === 'require' && row.subject !== 'empty')
  expect(loads).toHaveLength(8)
  for (const row of loads) {
    expect(row.files, row.subject).toBeGreaterThan(5)
    expect(row.ms, row.subject).toBeGreaterThan(0)
  }
  const sizes = rows.filter((row) => row.case === 'size')
  expect(sizes.map((row) => row.bytes > 0)).toEqual([true, true, true, true])
}, 120_000)

it.each([
  [['instructions', '--tree', 'docs'], /--tree docs is no built checkout/],
  [['local', '--tree', '.'], /--tree is for suite start or instructions/],
  [['local', '--requests', '5'], /--requests is for suite instructions/],
  [['instructions', '--requests', '0'], /--requests takes a whole number/],
])('bench refuses %j in one line', async (words, message) => {
  const { code, out, err } = await bench(...words)
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})
