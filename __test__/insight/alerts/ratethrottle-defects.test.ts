import { expect, it } from 'vitest'
import { freshName } from '../../shared/place.ts'
import { watching } from './alerts.ts'
import { Watchers } from './watchers.ts'

/* Defects of RateThrottle's alerting (D58 and D59): the same figures, and what is told here. */

const CALM_SECONDS = 600

it('D58: one denied of one request is no alert, with the least of all rules', async () => {
  const rules = [0, 1, 2, 100].map((min) => ({
    when: 'denied.share > 0.2',
    min,
    name: `min ${min}`,
  }))
  const { figures, told, seconds } = watching({ rules })
  figures.add('api', { denied: 1 })
  await seconds(120)
  expect(told).toEqual([])
})

it('D58: a spike after a long calm is an alert, and calm after a long attack is none', async () => {
  const { figures, told, seconds } = watching({
    rules: [{ when: 'denied.share > 0.2', for: '1 minute', min: 100 }],
  })
  await seconds(CALM_SECONDS, () => figures.add('api', { admitted: 10_000 }))
  // 0.3 % of all the time: a ratio since the start would never tell.
  await seconds(30, () => figures.add('api', { admitted: 100, denied: 900 }))
  await seconds(60, () => figures.add('api', { admitted: 100, denied: 900 }))
  expect(told.map(({ status, value }) => [status, (value ?? 0) > 0.2])).toEqual([['fired', true]])
  await seconds(CALM_SECONDS, () => figures.add('api', { denied: 10_000 }))
  await seconds(150, () => figures.add('api', { admitted: 100 }))
  expect(told.map(({ status }) => status)).toEqual(['fired', 'resolved'])
  expect(told[1]?.value).toBe(0)
})

it('D58: shares of requests that a shield flagged are no score: what a shield sees has figures of its own', async () => {
  const { figures, told, seconds } = watching({
    rules: [
      { when: 'shield.pressure == 1', for: '5 seconds' },
      { when: 'shield.blocked > 10', for: '5 seconds' },
    ],
  })
  const shield = { pressure: false, alarm: false, blocked: 2 }
  figures.report_.shields = [shield]
  await seconds(30, () => figures.add('api', { denied: 1_000 }))
  expect(told).toEqual([])
  shield.pressure = true
  await seconds(10)
  expect(told.map(({ when }) => when)).toEqual(['shield.pressure == 1'])
})

it('D59: with a cooldown of 0 each of five is told, also with a storage', async () => {
  const alone = watching({ rules: [{ when: 'denied.share > 0.2', for: '1 second' }], cooldown: 0 })
  for (let i = 0; i < 5; i++) {
    await alone.seconds(2, () => alone.figures.add('api', { denied: 100 }))
    await alone.seconds(3, () => alone.figures.add('api', { admitted: 100 }))
  }
  expect(alone.told.map(({ status }) => status)).toEqual(
    Array(5).fill(['fired', 'resolved']).flat(),
  )
  const shared = await Watchers.start(1, { storage: `shared:${freshName()}`, cooldown: 0 })
  const [only] = shared.all
  for (const status of ['fired', 'quiet', 'fired']) {
    shared.denied(status === 'fired')
    await shared.lookUntil(() => only?.status === status)
  }
  expect(shared.statuses).toEqual(['fired', 'resolved', 'fired'])
})

it('D59: a cooldown ends', async () => {
  const { figures, told, seconds } = watching({
    rules: [{ when: 'denied.share > 0.2', for: '1 second' }],
    cooldown: '10 seconds',
  })
  for (let i = 0; i < 5; i++) {
    await seconds(3, () => figures.add('api', { denied: 100 }))
    await seconds(17, () => figures.add('api', { admitted: 100 }))
  }
  expect(told).toHaveLength(10)
})
