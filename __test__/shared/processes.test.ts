import { once } from 'node:events'
import { createLimiter, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { run } from '../fixtures/child.ts'
import { act, actAndStay, freshName } from './place.ts'

const PROCESSES = 4

async function race(algorithm: string, count: number, clock: string): Promise<number[]> {
  const args = [freshName(), algorithm, `${count}`, clock]
  const racers = Array.from({ length: PROCESSES }, () => run('shared/race.mjs', args))
  const ended = await Promise.all(racers)
  return ended.map(({ code, out, err }) => {
    expect({ code, err }).toEqual({ code: 0, err: '' })
    return Number(out)
  })
}

describe.each(ALGORITHMS)('%s: four processes, each with a worker thread beside', (algorithm) => {
  const count = algorithm === 'sliding-log' ? 1_000 : 20_000

  it.each(['fixed', 'real'])('admit exactly the limit on one key, on a %s clock', async (clock) => {
    const admitted = await race(algorithm, count, clock)
    expect(admitted.reduce((sum, n) => sum + n)).toBe(count)
  })
})

it('a shared limiter and a shared storage of the same name use one table', async () => {
  const name = freshName()
  const limiter = createLimiter({ limits: '10/day', storage: `shared:${name}` })
  const one = new RateLimiter('10/day', { name, shared: true })
  expect([limiter.storage, one.storage]).toEqual([`shared:${name}`, `shared:${name}`])
  expect([(await limiter.check('k', 4)).allowed, one.peek('k').remaining]).toEqual([true, 6])
  expect(await act({ limits: '10/day', options: { name }, checks: 9 })).toMatchObject({
    admitted: 6,
  })
  await limiter.close()
  one.close()
  const memory = new RateLimiter('10/day', { name })
  expect(memory.peek('k').remaining).toBe(10)
  memory.close()
})

it('a block outlives all processes that were attached', async () => {
  const options = { name: freshName(), blockFor: '1 hour' }
  expect(await act({ limits: '3/day', options, checks: 5 })).toMatchObject({ admitted: 3 })
  for (let turn = 0; turn < 3; turn++) {
    const [child, acted] = await actAndStay({ limits: '3/day', options, checks: 2 })
    expect(acted).toMatchObject({ admitted: 0 })
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const limiter = new RateLimiter('3/day', { ...options, shared: true })
  expect(limiter.peek('k').retryAfterMs).toBeGreaterThan(3_590_000)
  limiter.close()
})

it('one name with two settings is two tables, and the second process gets a warning', async () => {
  const options = { name: freshName() }
  const [child] = await actAndStay({ limits: '3/day', options, checks: 3 })
  const other = await act({ limits: '5/day', options, checks: 9 })
  expect(other).toMatchObject({ admitted: 5, warnings: ['RATETHROTTLE_SHARED_SETTINGS'] })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const next = await act({ limits: '7/day', options, checks: 9 })
  expect(next).toEqual({ admitted: 7, storage: `shared:${options.name}`, warnings: [] })
})
