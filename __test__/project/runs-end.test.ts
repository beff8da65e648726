import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
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

const WITHIN = [process.execPath, 'scripts/within.mjs']

/** A program that ignores the question to end, as its child does, whose number it writes down. */
const stubborn = (pidFile: string): string =>
  `trap '' TERM; sleep 600 & echo $! > ${pidFile}; wait; sleep 600`

function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z'
}

test.each([
  ['a command', (script: string) => ['bash', '-c', script]],
  [
    'a step of .ci/run, which has a limit of its own,',
    (script: string) => ['bash', '-c', '"$@"; true', '-', ...WITHIN, '600', 'bash', '-c', script],
  ],
])('%s and its child processes end by the time limit', async (_, command) => {
  const pidFile = join(scratch(), 'pid')
  // A busy machine may need longer than a second to begin.
  for (const limit of ['1', '5', '25']) {
    const [program = '', ...args] = [...WITHIN, limit, ...command(stubborn(pidFile))]
    const child = spawn(program, args, { timeout: 60_000 })
    const [status] = await once(child, 'exit')
    expect(status).toBe(124)
    if (existsSync(pidFile)) break
  }
  const pid = Number(readFileSync(pidFile, 'utf8'))
  expect(isRunning(pid)).toBe(false)
})

test('npm test and .ci/run have a time limit', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect(scripts.test).toMatch(/within\.mjs \d+ /)
  const steps = readFileSync('.ci/run', 'utf8').split('\n')
  expect(steps.filter((line) => /^exec|^ {2}exec/.test(line)).join()).toMatch(/within\.mjs \d+ /)
})

const STEPS = readFileSync('.ci/run', 'utf8').match(/^(step|begin) /gm)?.length ?? 0

/** Runs .ci/run with programs that all do the same instead of working. */
function runWith(does: string) {
  const folder = scratch()
  cpSync('.ci/run', join(folder, '.ci/run'))
  for (const name of ['within.mjs', 'count.mjs']) {
    cpSync(join('scripts', name), join(folder, 'scripts', name))
  }
  for (const name of ['npm', 'npx', 'git', 'cargo']) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${does}\n`, { mode: 0o755 })
  }
  const { PATH: before } = process.env
  const PATH = `${folder}:${dirname(process.execPath)}:${before}`
  const env = { ...process.env, PATH, TMPDIR: folder }
  return spawnSync(join(folder, '.ci/run'), { env, encoding: 'utf8', timeout: 60_000 })
}

test.each([
  ['crashes', 'kill -9 $$', STEPS],
  // All but `programs`, which is not there: the four that report tests have reported none.
  ['says that all is well', 'exit 0', 4],
])('.ci/run fails where each program %s', (_, does, failed) => {
  const { status, stdout } = runWith(does)
  expect(stdout.trim().split('\n').at(-1)).toBe(`0 passed, ${failed} failed`)
  expect(status).toBe(1)
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
