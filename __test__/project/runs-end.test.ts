import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

/** A folder that is removed when the test ends. */
function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-runs-end-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A program of that name that records its call, and fails. */
function spy(folder: string, name: string, status = 1): void {
  const path = join(folder, name)
  const isAsked = '[ "$1" = --version ] && exit 0\n'
  writeFileSync(
    path,
    `#!/bin/sh\n${isAsked}echo "${name} $*" >> "${folder}/called"\nexit ${status}\n`,
  )
  chmodSync(path, 0o755)
}

/** Installs the programs as a user with this id, with the spies of the folder as the only programs. */
function installAs(uid: number, folder: string) {
  const user = join(folder, 'user.cjs')
  writeFileSync(user, `process.getuid = () => ${uid}`)
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--require', user, 'scripts/programs.mjs'],
    { env: { PATH: folder }, encoding: 'utf8', timeout: 100_000 },
  )
  const record = join(folder, 'called')
  return { status, stderr, called: existsSync(record) ? readFileSync(record, 'utf8') : '' }
}

test('npm test does not run sudo or a package manager without being asked, and names the command instead', () => {
  const folder = scratch()
  for (const name of ['sudo', 'apt-get']) spy(folder, name)
  const { called, stderr } = installAs(1000, folder)
  expect(called).toBe('')
  expect(stderr).toMatch(/sudo apt-get install .*redis-server/)
})

test('as root the missing programs are installed without asking', () => {
  const folder = scratch()
  spy(folder, 'apt-get')
  const { called, status } = installAs(0, folder)
  expect(called).toMatch(/^apt-get install .*redis-server.*valgrind/m)
  expect(status).toBe(1)
})

test('a command and its child processes end by the time limit', () => {
  const folder = scratch()
  const pidFile = join(folder, 'pid')
  const script = `trap '' TERM; sleep 600 & echo $! > ${pidFile}; wait; sleep 600`
  const { status } = spawnSync(
    process.execPath,
    ['scripts/within.mjs', '4', 'bash', '-c', script],
    { timeout: 100_000 },
  )
  expect(status).toBe(124)
  const pid = Number(readFileSync(pidFile, 'utf8'))
  const isRunning = existsSync(`/proc/${pid}/stat`)
    ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z'
    : false
  expect(isRunning).toBe(false)
})

test('npm test and .ci/run have a time limit', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect(scripts.test).toMatch(/within\.mjs \d+ /)
  const steps = readFileSync('.ci/run', 'utf8').split('\n')
  expect(steps.filter((line) => /^exec|^ {2}exec/.test(line)).join()).toMatch(/within\.mjs \d+ /)
})

/** Runs a test file with this body under our vitest configuration, with a short limit. */
async function runHanging(body: string): Promise<{ status: number | null; output: string }> {
  const folder = mkdtempSync('__test__/project/hanging-')
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'hangs.test.ts'), `import { test } from 'vitest'\n${body}\n`)
  const args = ['node_modules/vitest/vitest.mjs', 'run', folder, '--typecheck.enabled=false']
  const env = { ...process.env, RATETHROTTLE_FILE_LIMIT_MS: '3000' }
  // In a separate process group: processes that hang are ended with it.
  const child = spawn(process.execPath, args, { env, detached: true })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data
    })
  }
  const endGroup = (): boolean => process.kill(-(child.pid as number), 'SIGKILL')
  const late = setTimeout(endGroup, 100_000)
  const [status] = await once(child, 'exit')
  clearTimeout(late)
  return { status, output }
}

test.each([
  ['blocks its event loop', "test('hangs', () => { for (;;); })"],
  [
    'never settles, with every timer faked',
    "import FakeTimers from '@sinonjs/fake-timers'\ntest('hangs', async () => { FakeTimers.install(); await new Promise(() => {}) })",
  ],
])('vitest ends a test file that %s, and fails', async (_, body) => {
  const { status, output } = await runHanging(body)
  expect(status, output).toBe(1)
})
