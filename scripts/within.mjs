// Runs a command that cannot outlive a limit: node scripts/within.mjs SECONDS COMMAND [ARGUMENT ...]
//
// The command runs in a process group of its own. When the limit has passed, the whole group is ended, the
// workers and servers that tests have started included, and the exit code is 124. The group is asked first,
// so that a command which is itself run within a limit can end its own group.
import { spawn } from 'node:child_process'

const GRACE_MS = 3_000
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

function endGroup(signal) {
  signalGroup(signal)
  setTimeout(() => signalGroup('SIGKILL'), GRACE_MS).unref()
}

const timer = setTimeout(() => {
  const shown = [command, ...args].join(' ')
  console.error(`${shown}: still running after its limit of ${seconds} s; ended`)
  process.exitCode = 124
  endGroup('SIGTERM')
}, seconds * 1000)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => endGroup(signal))
child.on('error', (error) => {
  clearTimeout(timer)
  console.error(`${command}: ${error.message}`)
  process.exitCode = 127
})
child.on('exit', (code, signal) => {
  clearTimeout(timer)
  signalGroup('SIGKILL')
  process.exitCode ??= signal === null ? code : 1
})
