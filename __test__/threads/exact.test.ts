import type { Algorithm } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { probeAddon, run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'

interface Raced {
  readonly admitted: number
  readonly lost: number
  readonly evictions: number
}

const ALGORITHMS: readonly [Algorithm, number][] = [
  ['token-bucket', 300_000],
  ['leaky-bucket', 300_000],
  ['sliding-window', 300_000],
  ['fixed-window', 300_000],
  // A log is for small counts.
  ['sliding-log', 8_000],
]

async function race(algorithm: Algorithm, ...numbers: number[]): Promise<Raced> {
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: probeAddon() }
  const { code, out, err } = await run('threads/race.mjs', [algorithm, ...numbers.map(String)], env)
  expect(err).toBe('')
  expect(code).toBe(0)
  return JSON.parse(out.trim().split('\n').at(-1) ?? '')
}

/** Each thread's; together many times the limit, so that most of them race for what is left or denied. */
const CHECKS = byLength(125_000, 1_000_000)

describe(`eight worker threads on one key, ${CHECKS} checks each`, () => {
  it.each(ALGORITHMS)(
    '%s: exactly %i are admitted, and compare-and-swaps were lost',
    async (algorithm, count) => {
      const { admitted, lost } = await race(algorithm, count, CHECKS, 0, 0)
      expect(lost).toBeGreaterThan(0)
      expect(admitted).toBe(count)
    },
  )

  it.each(ALGORITHMS)(
    '%s: exact also while 100,000 other keys come, expire and are evicted',
    async (algorithm, count) => {
      // The hot key owes more than the one unit of a passer-by from the start, so it is never the least debt.
      const { admitted, lost, evictions } = await race(algorithm, count, CHECKS, 12_500, 50)
      expect(lost).toBeGreaterThan(0)
      expect(evictions).toBeGreaterThan(1_000)
      expect(admitted).toBe(count - 50)
    },
  )
})
