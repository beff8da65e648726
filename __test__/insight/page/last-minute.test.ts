import { expect, it } from 'vitest'
import { LastMinute } from '../../../dist/insight/page/last-minute.js'

const top = (denied: Readonly<Record<string, number>>) => {
  const keys = Object.entries(denied).map(([key, count]) => ({
    key,
    limit: 'api',
    count,
    error: 0,
  }))
  return { asked: [], denied: keys.sort((a, b) => b.count - a.count) }
}

it('keys of the last minute come first, and what came before it counts no more', () => {
  const minute = new LastMinute()
  const rows = (denied: Readonly<Record<string, number>>, at: number) =>
    minute.rows(top(denied), at).denied.map(({ key, lastMinute }) => [key, lastMinute])
  // Nothing is known of the time before the page was opened.
  expect(rows({ old: 10_000, new: 1 }, 0)).toEqual([
    ['old', undefined],
    ['new', undefined],
  ])
  for (let at = 1_000; at <= 60_000; at += 1_000) rows({ old: 10_000, new: 1 + at / 1_000 }, at)
  expect(rows({ old: 10_002, new: 61 }, 61_000)).toEqual([
    ['new', 60],
    ['old', 2],
  ])
  for (let at = 62_000; at <= 130_000; at += 1_000) rows({ old: 10_002, new: 61 }, at)
  expect(rows({ old: 10_002, new: 61 }, 131_000)).toEqual([
    ['old', 0],
    ['new', 0],
  ])
  // The page was closed for an hour: that is no minute.
  expect(rows({ old: 20_000, new: 61 }, 3_800_000)).toEqual([
    ['old', undefined],
    ['new', undefined],
  ])
  expect(rows({ old: 20_000, new: 62 }, 3_801_000)[0]).toEqual(['new', 1])
})

it('keys that are shown alike have one figure together', () => {
  const minute = new LastMinute()
  const alike = (...counts: number[]) => ({
    asked: [],
    denied: counts.map((count) => ({ key: '10.0.0.xxx', limit: 'api', count, error: 0 })),
  })
  minute.rows(alike(9, 5), 0)
  const { denied } = minute.rows(alike(10, 9), 10_000)
  expect(denied.map(({ lastMinute }) => lastMinute)).toEqual([5, undefined])
})
