import { expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { probeAddon, run } from '../fixtures/child.ts'

it.each(ALGORITHMS)(
  '%s: exact while 100,000 other keys are claimed and expire',
  async (algorithm) => {
    const count = algorithm === 'sliding-log' ? 1_000 : 300_000
    const env = { NAPI_RS_NATIVE_LIBRARY_PATH: probeAddon() }
    let contention = 0
    // A machine that is busy with other things may run the threads one after the other.
    for (let turn = 0; turn < 5 && contention === 0; turn++) {
      const { code, out, err } = await run('threads/expire.mjs', [algorithm, String(count)], env)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      const { admitted, lost, evictions } = JSON.parse(out)
      contention = lost
      // A place is taken from a debtor or from an expired key: what evictions leave over, expired.
      expect(evictions).toBeLessThan(90_000)
      expect(admitted).toBe(count - 50)
    }
    expect(contention).toBeGreaterThan(0)
  },
)
