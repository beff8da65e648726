import { RateLimiter } from 'ratethrottle'
import { type Insight, type InsightOptions, insight } from 'ratethrottle/insight'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isFormula, readCsv } from './formats/csv-reader.ts'

/*
 * What is wrong with the analytics of RateThrottle for Python, as its numbers D54 to D57 have it. Each test does
 * what went wrong there.
 */

function watched(options: InsightOptions = {}): { view: Insight; limiter: RateLimiter } {
  const view = insight(options)
  const limiter = new RateLimiter('2/minute', { name: 'api', insight: view })
  onTestFinished(() => {
    limiter.close()
    view.close()
  })
  return { view, limiter }
}

/** Everything that can be exported, as one text. */
function exported(view: Insight): string {
  const all = { ...view.report(), series: view.series({ unit: 'minute' }) }
  return [
    JSON.stringify(all),
    JSON.stringify(view),
    view.toCSV(),
    view.toHTML(),
    view.prometheus(),
    view.prometheus({ format: 'openmetrics' }),
  ].join('\n')
}

/** Each key asks this often, one after the other. */
function askInTurns(limiter: RateLimiter, keys: readonly string[], times: number): void {
  for (let i = 0; i < times; i++) for (const key of keys) limiter.allow(key)
}

const SECRETS = [
  '203.0.113.77',
  '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff',
  'alice@example.com',
  'sk_live_4eC39HqLyjWDarjtT1zdp7dc',
  'short',
]

describe('D54: no export shows what keys are', () => {
  it.each(['hash', 'mask'] as const)('in style %s', (keys) => {
    const { view, limiter } = watched({ keys })
    askInTurns(limiter, SECRETS, 5)
    const { top } = view.report()
    expect(top.denied).toHaveLength(SECRETS.length)
    const text = exported(view)
    for (const key of SECRETS) expect(text).not.toContain(key)
  })

  it('and a test that looks for them finds them where they are asked for', () => {
    const { view, limiter } = watched({ keys: 'plain' })
    askInTurns(limiter, SECRETS, 5)
    const text = exported(view)
    for (const key of SECRETS) expect(text).toContain(key)
  })
})

it('D55: the keys of a million clients take no room in a report', () => {
  const { view, limiter } = watched({ top: 10 })
  const sizes: number[] = []
  for (let i = 0; i < 1_000_000; i++) {
    limiter.allow(`client ${i}`)
    if (i === 999 || i === 999_999) sizes.push(exported(view).length)
  }
  const { top, totals } = view.report()
  expect(totals.admitted).toBe(1_000_000)
  expect(top.asked.length).toBeLessThanOrEqual(40)
  const [early = 0, late = 0] = sizes
  expect(late).toBeLessThan(early * 2)
})

it('D56: a key that is a formula is none in a spreadsheet', () => {
  const { view, limiter } = watched({ keys: 'plain' })
  const hostile = ['=cmd|"/c calc"!A1', '+1', '-1', '@SUM(1)', '\t=1', '\r=1', ' =1', '"=1', 'a;=1']
  askInTurns(limiter, hostile, 5)
  const rows = readCsv(view.toCSV())
  const shown = rows.filter(([part, , , , , figure]) => part === 'top denied' && figure === 'count')
  expect(shown).toHaveLength(hostile.length)
  const pieces = shown.flatMap(([, , , , key = '']) => [key, ...key.split(/[;,|\t\r\n]/)])
  expect(pieces.filter(isFormula)).toEqual([])
})

it('D56: the columns are the same before anything has happened, and after', () => {
  const { view, limiter } = watched()
  const before = readCsv(view.toCSV())[0]
  for (let i = 0; i < 5; i++) limiter.allow('user:1')
  expect(readCsv(view.toCSV())[0]).toEqual(before)
})

it('D57: what a limiter does is counted by itself, with times in UTC', () => {
  const { view, limiter } = watched()
  for (let i = 0; i < 5; i++) limiter.allow('user:1')
  limiter.check('user:2')
  limiter.peek('user:3')
  const { totals, at } = view.report()
  expect(totals).toMatchObject({ admitted: 3, denied: 3 })
  expect(Math.abs(at - Date.now())).toBeLessThan(60_000)
  const [[, , , , , , time = ''] = []] = readCsv(view.toCSV()).filter(
    ([, , , , , figure]) => figure === 'at',
  )
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

it('D57: a single client that asks without a pause is seen, in every export', () => {
  const { view, limiter } = watched({ keys: 'plain' })
  for (let i = 0; i < 28; i++) limiter.allow('203.0.113.77')
  expect(view.report().top.denied).toEqual([
    { key: '203.0.113.77', limit: 'api', count: 26, error: 0 },
  ])
  expect(view.toCSV()).toContain('"top denied","api","","","203.0.113.77","count",26\r\n')
})

it('D57: 800 short keys have 800 names', () => {
  for (const keys of ['hash', 'plain'] as const) {
    const { view, limiter } = watched({ keys, top: 1000 })
    const clients = Array.from({ length: 800 }, (_, i) => `${keys}${i}`)
    askInTurns(limiter, clients, 4)
    const names = view.report().top.denied.map(({ key }) => key)
    expect(names).toHaveLength(clients.length)
    expect(new Set(names).size).toBe(clients.length)
  }
})

it('D57: keys that look alike when masked are counted apart all the same', () => {
  const { view, limiter } = watched({ keys: 'mask' })
  for (const ends of [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3], [2, 3], [3]]) {
    askInTurns(
      limiter,
      ends.map((end) => `203.0.113.${end}`),
      1,
    )
  }
  const { denied, asked } = view.report().top
  expect(denied.map(({ count }) => count).sort()).toEqual([2, 3, 4])
  expect(asked.map(({ count }) => count).sort()).toEqual([4, 5, 6])
  expect(view.report().limits[0]).toMatchObject({ admitted: 6, denied: 9, liveKeys: 3 })
})
