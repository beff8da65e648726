import { describe, expect, it } from 'vitest'
import { Measurement } from '../../../ts/insight/alerts/measure.ts'
import { readRule } from '../../../ts/insight/alerts/rule.ts'
import { FakeFigures } from './fake-figures.ts'

/** A rule's value under figures that a test moves. */
function measuring(when: string, more: object = {}) {
  const figures = new FakeFigures()
  const measurement = new Measurement([readRule({ when, ...more }, 'rule')])
  const read = () => measurement.read(figures, figures.clock.now())[0]
  return { figures, read, value: () => read()?.value }
}

describe('figures of requests', () => {
  it('are about the window, and not about the second that is not over', () => {
    const { figures, value } = measuring('denied.rate > 0', { for: '10 seconds' })
    figures.add('api', { denied: 20 })
    expect(value()).toBe(0)
    figures.clock.advance(1_000)
    expect(value()).toBe(2)
    figures.clock.advance(9_000)
    expect(value()).toBe(2)
    figures.clock.advance(1_000)
    expect(value()).toBe(0)
  })

  it('count all limiters, or the one that the rule names', () => {
    const all = measuring('denied.share > 0', { min: 1 })
    const one = measuring('denied.share > 0', { min: 1, limit: 'api' })
    for (const { figures } of [all, one]) {
      figures.add('api', { admitted: 30, denied: 10 })
      figures.add('login', { admitted: 60 })
      figures.clock.advance(1_000)
    }
    expect(all.value()).toBe(0.1)
    expect(one.value()).toBe(0.25)
    const other = measuring('denied.share > 0', { limit: 'apí' })
    other.figures.add('api', { denied: 10 })
    expect(other.read()).toEqual({ value: undefined, isKnown: false })
  })

  it.each([
    ['requests.rate', 6.3],
    ['admitted.rate', 6],
    ['denied.rate', 0.2],
    ['dry.rate', 0.1],
    ['waited.rate', 0.5],
    ['denied.share', 12 / 378],
    ['dry.share', 6 / 378],
  ])('%s', (figure, expected) => {
    const { figures, value } = measuring(`${figure} > 0`)
    figures.add('api', { admitted: 360, denied: 12, dry: 6, waited: 30 })
    figures.clock.advance(1_000)
    expect(value()).toBeCloseTo(expected, 12)
  })

  it('there is none with fewer requests than min, and no share of one request ever', () => {
    const { figures, value } = measuring('denied.share > 0', { min: 5 })
    figures.add('api', { admitted: 2, denied: 2 })
    figures.clock.advance(1_000)
    expect(value()).toBeUndefined()
    figures.add('api', { dry: 1 })
    figures.clock.advance(1_000)
    expect(value()).toBe(0.4)
    const alone = measuring('denied.share > 0', { min: 0 })
    alone.figures.add('api', { denied: 1 })
    alone.figures.clock.advance(1_000)
    expect(alone.value()).toBeUndefined()
  })

  it('come from minutes where the window is longer than ten minutes', () => {
    const { figures, value } = measuring('admitted.rate > 0', { for: '1 hour' })
    figures.add('api', { admitted: 3_600 })
    figures.clock.advance(60_000)
    expect(value()).toBe(1)
    figures.clock.advance(60 * 60_000)
    expect(value()).toBe(0)
    expect(measuring('admitted.rate > 0', { for: '10 minutes' }).value()).toBe(0)
    expect(measuring('admitted.rate > 0', { for: '24 hours' }).value()).toBe(0)
  })
})

describe('figures of reports', () => {
  it('are states', () => {
    const store = measuring('store.available == 0')
    expect(store.value()).toBeUndefined()
    store.figures.report_.stores = [
      { limit: 'api', available: true, reason: undefined },
      { limit: 'login', available: false, reason: 'timeout' },
    ]
    expect(store.value()).toBe(0)
    const api = measuring('store.available == 0', { limit: 'api' })
    api.figures.report_.stores = store.figures.report_.stores
    expect(api.value()).toBe(1)
    const shield = measuring('shield.pressure == 1')
    const blocked = measuring('shield.blocked > 10')
    expect([shield.value(), blocked.value()]).toEqual([undefined, undefined])
    for (const { figures } of [shield, blocked]) {
      figures.report_.shields = [
        { pressure: false, alarm: false, blocked: 3 },
        { pressure: true, alarm: false, blocked: 4 },
      ]
    }
    expect([shield.value(), blocked.value()]).toEqual([1, 7])
    const config = measuring('config.stale == 1')
    expect(config.value()).toBeUndefined()
    config.figures.report_.config = { stale: true, loadedAt: 5 }
    expect(config.value()).toBe(1)
  })

  it('evictions are those of the window, however many there were before', () => {
    const { figures, value } = measuring('evictions.rate > 0', { for: '10 seconds' })
    const limit = { name: 'api', evictions: 1_000_000 }
    figures.report_.limits = [limit]
    expect(value()).toBe(0)
    for (let i = 0; i < 30; i++) {
      figures.clock.advance(1_000)
      limit.evictions += 10
      const rate = value()
      if (i >= 9) expect(rate).toBe(10)
    }
    for (let i = 0; i < 10; i++) {
      figures.clock.advance(1_000)
      value()
    }
    expect(value()).toBe(0)
  })

  it('counters that fall start again, and never give a negative figure', () => {
    const { figures, value } = measuring('evictions.rate > 0', { for: '10 seconds' })
    figures.report_.limits = [{ name: 'api', evictions: 500 }]
    value()
    figures.clock.advance(1_000)
    figures.report_.limits = []
    expect(value()).toBe(0)
    figures.clock.advance(1_000)
    figures.report_.limits = [{ name: 'api', evictions: 20 }]
    expect(value()).toBe(2)
  })

  it('times are those of the window: a slow start is forgotten, a later spike is seen', () => {
    const { figures, value } = measuring('decision.p99 > 1', { for: '60 seconds', min: 10 })
    const { times } = figures.report_
    const counts = new Map<number, number>()
    const take = (belowMs: number, count: number) => {
      counts.set(belowMs, (counts.get(belowMs) ?? 0) + count)
      let sum = 0
      const sorted = [...counts].sort(([a], [b]) => a - b)
      times.decision = {
        cells: sorted.map(([below, here]) => {
          sum += here
          return { belowMs: below, count: sum }
        }),
      }
    }
    take(500, 100_000)
    expect(value()).toBeUndefined()
    for (let i = 0; i < 90; i++) {
      figures.clock.advance(1_000)
      take(0.01, 100)
      value()
    }
    expect(value()).toBe(0.01)
    figures.clock.advance(1_000)
    take(80, 200)
    expect(value()).toBe(80)
    figures.clock.advance(1_000)
    take(2_000, 200)
    expect(value()).toBe(2_000)
  })

  it('remember no more than 62 readings of a rule', () => {
    const { figures, value } = measuring('evictions.rate > 0', { for: '24 hours' })
    const limit = { name: 'api', evictions: 0 }
    figures.report_.limits = [limit]
    for (let i = 0; i < 100_000; i++) {
      figures.clock.advance(1_000)
      limit.evictions++
      if (i % 10 === 0) value()
    }
    expect(value()).toBeCloseTo(1, 1)
  })
})
