// Runs a command that cannot outlive a limit: node scripts/within.mjs SECONDS COMMAND [ARGUMENT ...]
//
// The command runs in a process group of its own. When the limit has passed, the whole group is ended, the
// workers and servers that tests have started included, and the exit code is 124. The group is asked first,
// so that a command in it which is itself run within a limit can end its own group: a group is not among the
// processes of another.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** From the question to the end of a group: the outer limit leaves the inner ones time for theirs. */
const GRACE_MS = 10_000
const INNER_GRACE_MS = 1_500
const [, , limit, command, ...args] = process.argv
const seconds = Number(limit)
if (!(seconds > 0) || command === undefined) {
  console.error('usage: node scripts/within.mjs SECONDS COMMAND [ARGUMENT ...]')
  process.exit(2)
}

const isWindows = process.platform === 'win32'
const child = spawn(command, args, { stdio: 'inherit', detached: !isWindows, shell: isWindows })

function signalGroup(signal) {
  try {
    if (isWindows) child.kill(signal)
    else process.kill(-child.pid, signal)
  } catch {
    // The group has ended already.
  }
}

let isEnding = false

function endGroup(signal, graceMs) {
  isEnding = true
  signalGroup(signal)
  setTimeout(() => signalGroup('SIGKILL'), graceMs).unref()
}

function hasGroup() {
  try {
    return !isWindows && process.kill(-child.pid, 0)
  } catch {
    return false
  }
}

const timer = setTimeout(() => {
  const shown = [command, ...args].join(' ')
  console.error(`${shown}: still running after its limit of ${seconds} s; ended`)
  process.exitCode = 124
  endGroup('SIGTERM', GRACE_MS)
}, seconds * 1000)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    process.exitCode ??= 1
    endGroup(signal, INNER_GRACE_MS)
  })
}
child.on('error', (error) => {
  clearTimeout(timer)
  console.error(`${command}: ${error.message}`)
  process.exitCode = 127
})
child.on('exit', async (code, signal) => {
  clearTimeout(timer)
  process.exitCode ??= signal === null ? code : 1
  // It was ended, or it crashed: what it ran within limits of their own ends now.
  if (signal !== null && !isEnding) endGroup('SIGTERM', GRACE_MS)
  for (let waited = 0; isEnding && hasGroup() && waited < GRACE_MS; waited += 50) await sleep(50)
  signalGroup('SIGKILL')
})
