import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { expect, it, onTestFinished } from 'vitest'
import { recentOf } from '../../dist/cli/live/recent.js'
import type { Report, TopKey } from '../../dist/insight/types.js'

const ABOUT = { pid: 1, uptimeMs: 60_000, shared: undefined }

/** A reading of processes, as the command line makes it. */
function reading(at: number, reports: Readonly<Record<string, object>>, about: object = ABOUT) {
  const read = Object.entries(reports).map(([id, report]) => [id, { about, report }] as const)
  return { at, processes: new Map(read) } as unknown as Parameters<typeof recentOf>[1]
}

function tables(denied: readonly Partial<TopKey>[]): object {
  const keys = denied.map((one) => ({ limit: 'api', error: 0, ...one }))
  return { top: { asked: keys, denied: keys } }
}

const deniedOf = (...readings: Parameters<typeof recentOf>) =>
  recentOf(...readings)?.denied.map(({ key, count }) => [key, count])

it('a key that is denied now comes before one that was denied 10,000 times yesterday', () => {
  const earlier = reading(0, { a: tables([{ key: 'yesterday', count: 10_000 }]) })
  const keys = [
    { key: 'yesterday', count: 10_003 },
    { key: 'now', count: 40 },
  ]
  expect(recentOf(earlier, reading(2_013, { a: tables(keys) }))?.ms).toBe(2_013)
  expect(deniedOf(earlier, reading(2_013, { a: tables(keys) }))).toEqual([
    ['now', 40],
    ['yesterday', 3],
  ])
})

it('a key that took the place of another counts from then on', () => {
  const earlier = reading(0, { a: tables([{ key: 'old', count: 900, error: 880 }]) })
  const later = reading(1, { a: tables([{ key: 'new', count: 905, error: 900 }]) })
  expect(deniedOf(earlier, later)).toEqual([['new', 5]])
  const again = reading(2, { a: tables([{ key: 'old', count: 912, error: 905 }]) })
  expect(deniedOf(later, again)).toEqual([['old', 7]])
  // Never below zero: it went, and came back, or its process began again.
  expect(deniedOf(earlier, again)).toEqual([])
})

it('processes that come and go in between do not count with all that they ever had', () => {
  const both = { a: tables([{ key: 'k', count: 5 }]), b: tables([{ key: 'k', count: 700 }]) }
  const one = { a: tables([{ key: 'k', count: 9 }]) }
  expect(deniedOf(reading(0, both), reading(2_000, one))).toEqual([['k', 4]])
  expect(deniedOf(reading(0, one), reading(2_000, { ...both, ...one }))).toEqual([])
  // Nothing can be said of a process that has not been asked before, unless it has begun since.
  expect(recentOf(undefined, reading(0, one))).toBeNull()
  expect(recentOf(reading(0, one), reading(2_000, { c: tables([]) }))).toBeNull()
  const young = reading(2_000, { c: tables([{ key: 'k', count: 3 }]) }, { ...ABOUT, uptimeMs: 900 })
  expect(deniedOf(reading(0, one), young)).toEqual([['k', 3]])
})

it.each(['plain', 'mask'] as const)(
  'in a flood of keys no figure is too large, and those that come most are found: keys %s',
  (keys) => {
    const view = insight({ keys, top: 50 })
    const limiter = new RateLimiter('1/hour', { name: 'api', insight: view, capacity: 100_000 })
    onTestFinished(() => {
      limiter.close()
      view.close()
    })
    const nameOf = (n: number) => `10.${n >> 6}.0.${n & 63}`
    let seed = 1
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed / 2_147_483_647
    }
    let before: Report | undefined
    for (let round = 0; round < 6; round++) {
      const truth = new Map<string, number>()
      for (let i = 0; i < 4_000; i++) {
        // Some come often, others each round, thousands once or twice.
        const n =
          random() < 0.3 ? round * 7 + Math.floor(random() * 3) : Math.floor(random() * 6_000)
        const key = nameOf(n)
        limiter.allow(key)
        const shown = keys === 'plain' ? key : view.keyName(key)
        truth.set(shown, (truth.get(shown) ?? 0) + 1)
      }
      const now = view.report()
      if (before !== undefined) {
        const { asked } = recentOf(reading(0, { a: before }), reading(1, { a: now })) ?? {
          asked: [],
        }
        for (const { key, count } of asked) {
          expect(count, key).toBeLessThanOrEqual(truth.get(key) ?? 0)
        }
        const often = [...truth].filter(([, count]) => count > 300).map(([key]) => key)
        expect(often.length).toBeGreaterThan(0)
        expect(asked.slice(0, 5).map(({ key }) => key)).toEqual(expect.arrayContaining(often))
      }
      before = now
    }
  },
)
