// Makes sure that the programs which the tests start are there: Redis, Memcached, Postgres and valgrind.
//
// A missing one is installed with the system's package manager where this runs as root or with CI set. On a
// terminal the user is asked first. Anywhere else the command that installs it is named, and the run ends
// with 1. sudo is used with CI set (without a password), or after the user has said yes; never unasked.
import { spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { postgresFolder } from './postgres-folder.mjs'

const APT = ['install', '-y', '--no-install-recommends']
const PROGRAMS = ['redis-server', 'redis-cli', 'memcached', 'postgres', 'valgrind']
/** For each package manager: how it installs, and the packages whose names are not those of the programs. */
const MANAGERS = [
  {
    name: 'apt-get',
    before: [['update']],
    install: APT,
    packages: { redis: 'redis-server', postgres: 'postgresql' },
  },
  {
    name: 'dnf',
    before: [],
    install: ['install', '-y'],
    packages: { redis: 'redis', postgres: 'postgresql-server' },
  },
  {
    name: 'apk',
    before: [],
    install: ['add'],
    packages: { redis: 'redis', postgres: 'postgresql' },
  },
  {
    name: 'pacman',
    before: [],
    install: ['-Sy', '--noconfirm'],
    packages: { redis: 'redis', postgres: 'postgresql' },
  },
  {
    name: 'brew',
    before: [],
    install: ['install'],
    packages: { redis: 'redis', postgres: 'postgresql@17' },
  },
]

function runs(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}

function missingPrograms() {
  return PROGRAMS.filter((program) =>
    program === 'postgres' ? postgresFolder() === undefined : !runs(program),
  )
}

function packagesOf(programs, { packages }) {
  const packageOf = (program) => packages[program.replace(/^redis-.*/, 'redis')] ?? program
  return [...new Set(programs.map(packageOf))]
}

/** The commands that install these programs. brew refuses to be root; the others need to be. */
function commandsFor(programs, manager) {
  const isRoot = manager.name === 'brew' || process.getuid?.() === 0
  const sudo = isRoot ? [] : process.env.CI ? ['sudo', '-n'] : ['sudo']
  const steps = [...manager.before, [...manager.install, ...packagesOf(programs, manager)]]
  return steps.map((step) => [...sudo, manager.name, ...step])
}

async function mayInstall(missing) {
  if (process.getuid?.() === 0 || process.env.CI) return true
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`The tests need ${missing.join(', ')}. Install? [y/N] `)
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}

const missing = missingPrograms()
const manager = missing.length === 0 ? undefined : MANAGERS.find(({ name }) => runs(name))
const commands = manager === undefined ? [] : commandsFor(missing, manager)
if (commands.length > 0 && (await mayInstall(missing))) {
  console.error(`${missing.join(', ')} not found: installing with ${manager.name}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const [command, ...args] of commands) {
    // Its output goes to stderr: stdout is for the runners' reports.
    spawnSync(command, args, { env, stdio: ['inherit', 2, 2] })
  }
}
const still = missingPrograms()
if (still.length > 0) {
  const how = commands.map((command) => command.join(' ')).join(' && ')
  const packages =
    'the packages "redis-server" (or "redis"), "memcached", "postgresql" and "valgrind"'
  console.error(`the tests need ${still.join(', ')}. To install them: ${how || packages}`)
  process.exit(1)
}
