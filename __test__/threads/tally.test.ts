import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'

const { RATETHROTTLE_WORKERS: workers = byLength('40', '200') } = process.env

async function unexplained(subject: string): Promise<number> {
  const { code, out, err } = await run('threads/tally.mjs', [workers, subject])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { charged, told } = JSON.parse(out)
  expect(told).toBeGreaterThan(10_000)
  return charged - told
}

it('every unit admitted in a terminated worker is charged, and at most one unreported unit per worker', async () => {
  const missing = await unexplained('native')
  expect(missing).toBeGreaterThanOrEqual(0)
  expect(missing).toBeLessThanOrEqual(Number(workers))
})

it('the test detects a counter without atomics', async () => {
  // A machine that is busy with other things may run the threads one after the other.
  let missing = 0
  for (let tries = 0; tries < 8 && missing >= 0; tries++) missing = await unexplained('map')
  expect(missing).toBeLessThan(0)
})
