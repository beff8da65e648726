import { expect, it } from 'vitest'
import { randomFor } from '../fixtures/random.ts'
import { walks } from '../fixtures/walk.ts'

it('every decision equals that of a slow, exact model, a million times', () => {
  const random = randomFor('token-bucket')
  const one = walks(random, 'token-bucket', { steps: 800_000, perWalk: 2_000, limits: 1 })
  const several = walks(random, 'token-bucket', { steps: 200_000, perWalk: 1_000, limits: 4 })
  expect(one.steps + several.steps).toBeGreaterThanOrEqual(1_000_000)
  // Neither all admitted nor all denied: both sides of every edge were seen.
  expect(Math.min(one.admitted, one.denied)).toBeGreaterThan(20_000)
})
