// The shield over ten million distinct sources and ten million hostile requests, or as many as asked for:
// npm run prove:shield -- [count]. Exits with 1 if the process grows or a check fails. Takes some minutes.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Bytes by which a process may grow that holds on to nothing. */
const NOISE = 16 * 2 ** 20
/** The space of young objects is of one size from the start. */
const FLAGS = ['--expose-gc', '--max-semi-space-size=2']

const count = Number(process.argv[2] ?? 10_000_000)
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** By how many bytes the process grew in the second half of a flood. */
function flood(...rate) {
  const args = [...FLAGS, '__test__/shield/flood.mjs', String(count), ...rate]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const { before, halfway, after, ...said } = JSON.parse(stdout)
  const sizes = [before, halfway, after]
    .map(({ native, heapUsed }) => mebibytes(native + heapUsed))
    .join(', ')
  console.log(`${count} distinct sources${rate.map((one) => ` at ${one}`)}: memory ${sizes}`, said)
  return Math.max(after.native - halfway.native, after.heapUsed - halfway.heapUsed)
}

const grown = Math.max(flood(), flood('1000/second'))
const vitest = dirname(createRequire(import.meta.url).resolve('vitest/package.json'))
const args = [
  'run',
  '--typecheck.enabled=false',
  '--testTimeout=1200000',
  '__test__/shield/hostile.test.ts',
]
const env = {
  ...process.env,
  RATETHROTTLE_HOSTILE: String(count),
  RATETHROTTLE_FILE_LIMIT_MS: '1200000',
}
const hostile = spawnSync(process.execPath, [join(vitest, 'vitest.mjs'), ...args], {
  stdio: 'inherit',
  env,
})
process.exitCode = grown < NOISE && hostile.status === 0 ? 0 : 1
