import assert from 'node:assert/strict'
import { PROBE } from './limits.mjs'

/** A wrong answer is not a fast answer: three calls admitted, the fourth denied, another key untouched. */
export async function assertCounts(name, create) {
  const limiter = await create({ ...PROBE, keys: 2 })
  if (limiter.decides === false) return
  for (const key of ['user:1', 'user:2']) {
    for (let call = 1; call <= PROBE.count + 2; call++) {
      const admitted = await limiter.take(key)
      assert.equal(admitted, call <= PROBE.count, `${name}: call ${call} of 3 allowed on ${key}`)
    }
  }
  await limiter.close()
}
