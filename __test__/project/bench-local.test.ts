import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RateLimiter } from '../../ts/index.ts'
import { ROOT, run } from '../fixtures/child.ts'

// What suite `local` of the benchmarks asks, and what is drawn of it. Nothing here is timed.

const load = createRequire(join(ROOT, 'bench/index.mjs'))
const { CASES } = load('./local-cases.mjs')
const { keyOf } = load('./keys.mjs')
const { correctedCount, countFor, drawMix } = load('./mix.mjs')
const { toChart } = load('./chart.mjs')

const idle = Object.keys(CASES).filter((name) => name.startsWith('idle-'))

it.each(idle.filter((name) => CASES[name].keys <= 10_000))('the keys of %s owe nothing', (name) => {
  const { keys, limit, order } = CASES[name]
  const limiter = new RateLimiter(limit.text as string, { capacity: 100_000 })
  const asked = Array.from(order(keys) as Int32Array, keyOf) as string[]
  for (const key of asked) limiter.allow(key)
  const owing = asked.filter((key) => {
    const { resetMs, remaining } = limiter.peek(key)
    return !limiter.allow(key) || resetMs !== 0 || remaining !== limit.count
  })
  expect(owing).toEqual([])
})

describe('the mix', () => {
  const calls = new Map<number, number>()
  const drawn: Int32Array = drawMix()
  for (const id of drawn) calls.set(id, (calls.get(id) ?? 0) + 1)
  const busiest = [...calls.values()].sort((a, b) => b - a)

  it('is drawn by the law of Zipf', () => {
    const [first = 0, second = 0] = busiest
    expect(first / drawn.length).toBeCloseTo(0.083, 2)
    expect(first / second).toBeCloseTo(2, 1)
    expect(first / (busiest[9] ?? 0)).toBeCloseTo(10, 0)
    expect(calls.size).toBeGreaterThan(75_000)
  })

  it('has a tenth of its calls above the count that is chosen', () => {
    const most = countFor(drawn.length)
    const above = busiest.reduce((sum, made) => sum + Math.max(0, made - most), 0)
    expect(above / drawn.length).toBeCloseTo(0.1, 2)
  })

  it('is given a higher count where too many were denied, and a lower one where too few', () => {
    expect(correctedCount(10_000, 0.12)).toBeGreaterThan(10_000)
    expect(correctedCount(10_000, 0.08)).toBeLessThan(10_000)
    expect(correctedCount(10_000, 0.1)).toBe(10_000)
  })
})

it.each(['idle-pair-stored', 'mixed-fresh'])('bench local %s prints a row', async (name) => {
  const words = ['local', '--case', name, '--subject', 'noop', '--rounds', '1', '--json']
  const { code, out, err } = await run('../bench/index.mjs', words)
  expect(code, err).toBe(0)
  const row = JSON.parse(out)
  expect(row).toMatchObject({ suite: 'local', case: name, subject: 'noop', rounds: 1 })
  expect(row.nsPerOp).toBeGreaterThan(0)
})

describe('the chart', () => {
  const subjects = ['ratethrottle.allow', 'map-sliding', 'rate-limiter-flexible']
  const nanos = [100, 50, 1000]
  const rows = Object.keys(CASES).flatMap((name) =>
    subjects.map((subject, i) => ({ suite: 'local', case: name, subject, nsPerOp: nanos[i] })),
  )
  const svg: string = toChart(rows, { nodeVersion: 'v24.0.0', cpu: 'a <CPU>' })

  it('has at most four groups, each named in words', () => {
    const named = [...svg.matchAll(/<text x="16" y="\d+" style="font-weight:600">([^<]+)</g)]
    const words = named.map(([, text]) => text)
    expect(words).toContain('one busy caller')
    expect(words.length).toBeLessThanOrEqual(4)
    expect(words.filter((text) => /-/.test(text ?? ''))).toEqual([])
    expect(svg).toContain('a &lt;CPU>')
  })

  it('is linear, but for a bar that is cut, and tells the figure of each', () => {
    const bars = [...svg.matchAll(/<rect class="bar[^"]*" x="\d+" y="\d+" width="([\d.]+)"/g)]
    const [ours = 0, map = 0, cut = 0] = bars.map(([, width]) => Number(width))
    expect(ours / map).toBeCloseTo(2, 1)
    expect(cut / ours).toBeCloseTo(1.25, 1)
    expect(svg.match(/<path /g)).toHaveLength(bars.length / 3)
    expect(svg.match(/>1,000<\/text>/g)).toHaveLength(bars.length / 3)
  })

  it('can be read on a light page and on a dark one', () => {
    const [light = '', dark = ''] = svg.split('@media(prefers-color-scheme:dark)')
    for (const style of [light, dark]) {
      const page = colourOf(style, '.page')
      for (const words of ['text', '.small']) {
        expect(contrast(colourOf(style, words), page)).toBeGreaterThanOrEqual(4.5)
      }
      for (const bar of ['.bar', '.bar.ours']) {
        expect(contrast(colourOf(style, bar), page)).toBeGreaterThanOrEqual(3)
      }
    }
  })
})

it('README.md and the page on benchmarks show the figures and the chart of one record', () => {
  const args = ['bench/figures.mjs', '--check']
  expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })).toBe('')
})

function colourOf(style: string, selector: string): string {
  const [, colour = ''] = style.split(`${selector}{fill:`)
  return colour.slice(0, 7)
}

/** As WCAG 2 defines it. */
function contrast(one: string, other: string): number {
  const [high = 0, low = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (high + 0.05) / (low + 0.05)
}

function luminance(colour: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
  const [red = 0, green = 0, blue = 0] = parts.map((part) =>
    part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
