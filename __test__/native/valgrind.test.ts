import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { freshName } from '../shared/place.ts'

// valgrind maps no vDSO, like some sandboxes and kernels: every reading of the clock has to be a system call there.

const PROGRAM = `
  const { RateLimiter } = require('ratethrottle')
  for (const options of JSON.parse(process.argv[1])) {
    const limiter = new RateLimiter('2/hour', options)
    const { allowed } = limiter.check('k')
    console.log(allowed, limiter.allow('k'), limiter.allow('k'), limiter.check('k').allowed)
  }
`
const DECIDED = 'true true false false\n'

/** Runs the program under valgrind's cheapest tool, for at most two minutes. */
function decide(all: readonly object[]) {
  const node = [process.execPath, '--jitless', '-e', PROGRAM, '--', JSON.stringify(all)]
  const child = spawnSync('valgrind', ['--tool=none', '--quiet', ...node], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 120_000,
  })
  expect(child.error?.message, 'valgrind is needed: node scripts/programs.mjs').toBeUndefined()
  return { status: child.status, stdout: child.stdout }
}

describe.runIf(process.platform === 'linux')('the addon under valgrind', () => {
  // One process for all: its start takes longer than all it decides.
  test('every algorithm, the shared storage and blocks decide by the native clock without a vDSO', () => {
    const algorithms = [
      'token-bucket',
      'leaky-bucket',
      'sliding-window',
      'fixed-window',
      'sliding-log',
    ]
    const shared = { shared: true, name: freshName(), blockFor: '1 minute' }
    const decided = decide([...algorithms.map((algorithm) => ({ algorithm })), shared])
    expect(decided).toEqual({ status: 0, stdout: DECIDED.repeat(6) })
  })
})
