// Sends a million random hostile requests, or as many as asked for: node scripts/hostile.mjs [requests].
// RATETHROTTLE_SEED=... repeats a run.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const env = { ...process.env, RATETHROTTLE_HOSTILE: process.argv[2] ?? '1000000' }
const vitest = dirname(createRequire(import.meta.url).resolve('vitest/package.json'))
const files = ['__test__/security/hostile.test.ts', '__test__/security/hostile-sockets.test.ts']
// Straight to the terminal: this takes a minute, and shows how far it is.
const flags = [
  'run',
  '--disable-console-intercept',
  '--typecheck.enabled=false',
  '--no-file-parallelism',
]
const args = [join(vitest, 'vitest.mjs'), ...flags, ...files]
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1
