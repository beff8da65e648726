import { expect, it } from 'vitest'
import { randomFor } from '../fixtures/random.ts'
import { STEPS, walks } from '../fixtures/walk.ts'

it('every decision equals that of a slow, exact model', () => {
  const random = randomFor('sliding-log')
  const one = walks(random, 'sliding-log', { steps: STEPS * 0.8, perWalk: 2_000, limits: 1 })
  const several = walks(random, 'sliding-log', { steps: STEPS * 0.2, perWalk: 1_000, limits: 4 })
  expect(one.steps + several.steps).toBeGreaterThanOrEqual(STEPS)
  // Neither all admitted nor all denied: both sides of every edge were seen.
  expect(Math.min(one.admitted, one.denied)).toBeGreaterThan(STEPS / 50)
})
