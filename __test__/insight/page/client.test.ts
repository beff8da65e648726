import { describe, expect, it } from 'vitest'
import * as format from '../../../ts/insight/page/client/format.ts'
import { History } from '../../../ts/insight/page/client/series.ts'

const SECONDS = { stepMs: 1_000, steps: 600 }
/** The start of a step that is the last one of its column in the chart. */
const START = 1_800_000_004_000

function total(history: History, limit?: string): readonly [number, number] {
  const columns = history.columns(limit)
  const sum = (name: 'admitted' | 'denied'): number =>
    columns.reduce((all, column) => all + column[name], 0)
  return [sum('admitted'), sum('denied')]
}

function part(
  limit: string,
  from: number,
  admitted: readonly number[],
  denied?: readonly number[],
) {
  return { limit, from, admitted, denied: denied ?? admitted.map(() => 0) }
}

describe('what happened over time', () => {
  it('joins the newest steps to those before, and counts a step that grows once', () => {
    const history = new History()
    const whole = part(
      'api',
      START - 599_000,
      Array.from({ length: 600 }, () => 1),
    )
    history.take({ ...SECONDS, isWhole: true, limits: [whole] }, START)
    expect(total(history)).toEqual([600, 0])
    const tail = part('api', START - 4_000, [1, 1, 1, 1, 9], [0, 0, 0, 0, 2])
    history.take({ ...SECONDS, isWhole: false, limits: [tail] }, START)
    history.take({ ...SECONDS, isWhole: false, limits: [tail] }, START)
    expect(total(history)).toEqual([608, 2])
  })

  it('forgets what is older than its range, and fills what it has missed with zeros', () => {
    const history = new History()
    const whole = part(
      'api',
      START - 599_000,
      Array.from({ length: 600 }, () => 1),
    )
    history.take({ ...SECONDS, isWhole: true, limits: [whole] }, START)
    const late = START + 300_000
    history.take({ ...SECONDS, isWhole: false, limits: [part('api', late - 1_000, [5, 5])] }, late)
    // Of the 600 steps 300 are in the range still; 298 have passed without a word.
    expect(total(history)).toEqual([300 + 10, 0])
    expect(history.columns(undefined)).toHaveLength(120)
  })

  it('starts again after a gap that is longer than all it shows, or a clock that was set back', () => {
    const history = new History()
    history.take({ ...SECONDS, isWhole: true, limits: [part('api', START, [1])] }, START)
    const far = START + 10 ** 10
    history.take({ ...SECONDS, isWhole: false, limits: [part('api', far, [2])] }, far)
    expect(total(history)).toEqual([2, 0])
    history.take({ ...SECONDS, isWhole: false, limits: [part('api', START, [3])] }, START)
    expect(total(history)).toEqual([3, 0])
  })

  it('shows one limit or all, and a limit that comes later', () => {
    const history = new History()
    history.take({ ...SECONDS, isWhole: true, limits: [part('__proto__', START, [1])] }, START)
    history.take({ ...SECONDS, isWhole: false, limits: [part('new', START, [2], [4])] }, START)
    expect(history.names).toEqual(['__proto__', 'new'])
    expect([total(history), total(history, 'new'), total(history, 'none')]).toEqual([
      [3, 4],
      [2, 4],
      [0, 0],
    ])
  })

  it('does not mix the steps of two ranges', () => {
    const history = new History()
    history.take({ ...SECONDS, isWhole: true, limits: [part('api', START, [1])] }, START)
    const minutes = { stepMs: 60_000, steps: 1_440, isWhole: true }
    history.take({ ...minutes, limits: [part('api', START, [7])] }, START)
    expect([total(history), history.columnMs, history.columns(undefined).length]).toEqual([
      [7, 0],
      600_000,
      144,
    ])
  })
})

it.each([
  [format.share(0, 0), '0%'],
  [format.share(1, 3), '33.3%'],
  [format.share(1, 1_000_000), 'under 0.1%'],
  [format.share(999_999, 1_000_000), 'over 99.9%'],
  [format.share(5, 5), '100%'],
  [format.milliseconds(0), '0'],
  [format.milliseconds(0.000_12), '120 ns'],
  [format.milliseconds(0.0311), '31 µs'],
  [format.milliseconds(48.04), '48 ms'],
  [format.milliseconds(61_000), '61 s'],
  [format.duration(1), '1 s'],
  [format.duration(600_000), '10 min'],
  [format.duration(86_400_000), '24 h'],
  [format.duration(259_200_000), '3 days'],
  [format.perStep(5_000), '5 seconds'],
  [format.perStep(600_000), '10 minutes'],
  [format.perStep(21_600_000), '6 hours'],
  [format.shortNumber(99_999), '99,999'],
  [format.shortNumber(1_234_567), '1.2M'],
])('writes %s', (written, expected) => {
  expect(written).toBe(expected)
})
