import { describe, expect, test } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { probeAddon, run } from '../fixtures/child.ts'

const probe = { NAPI_RS_NATIVE_LIBRARY_PATH: probeAddon() }

interface Readings {
  readonly calls: number
  readonly exact: number
  readonly coarse: number
  readonly ms: number
}

/**
 * After a pause of the process one call may read both: at most one of each limiter in the time that the coarse clock may
 * be late. At most three limiters take turns.
 */
const SLACK_MS = 100
const LIMITERS = 3

// The coarse clock is one of Linux.
describe.runIf(process.platform === 'linux').each(ALGORITHMS)('%s', (algorithm) => {
  test('each call reads one clock', async () => {
    const { code, out, err } = await run('native/clock-readings.mjs', [algorithm], probe)
    expect(code, err).toBe(0)
    const patterns: [string, Readings][] = Object.entries(JSON.parse(out))
    expect(patterns).toHaveLength(8)
    for (const [pattern, { calls, exact, coarse, ms }] of patterns) {
      expect(exact + coarse, pattern).toBeGreaterThanOrEqual(calls)
      expect(exact + coarse, pattern).toBeLessThanOrEqual(calls + LIMITERS * (1 + ms / SLACK_MS))
    }
    const { coarse, calls } = (JSON.parse(out) as Record<string, Readings>)[
      'allow, keys in debt'
    ] as Readings
    if (algorithm !== 'sliding-log') expect(coarse).toBeGreaterThan(0.9 * calls)
  })
})
