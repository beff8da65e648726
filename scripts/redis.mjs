// Sees to it that the tests find redis-server and redis-cli: installs them with the system's package manager
// where there is one that we may use, and names what to install where there is not.
import { spawnSync } from 'node:child_process'

const NEEDED = ['redis-server', 'redis-cli']
const MANAGERS = [
  ['apt-get', [['update'], ['install', '-y', '--no-install-recommends', 'redis-server']]],
  ['dnf', [['install', '-y', 'redis']]],
  ['apk', [['add', 'redis']]],
  ['pacman', [['-Sy', '--noconfirm', 'redis']]],
  ['brew', [['install', 'redis']]],
]

function runs(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

function missing() {
  return NEEDED.filter((command) => !runs(command))
}

/** As root, or with a sudo that asks for nothing; brew refuses to be root. */
function asRoot(manager) {
  if (manager === 'brew' || process.getuid?.() === 0) return [manager]
  return ['sudo', '-n', manager]
}

function install([manager, steps]) {
  const [command, ...before] = asRoot(manager)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const step of steps) {
    // Its output goes to stderr: stdout is for the runners' reports.
    spawnSync(command, [...before, ...step], { env, stdio: ['ignore', 2, 2] })
  }
}

if (missing().length > 0) {
  const manager = MANAGERS.find(([name]) => runs(name))
  if (manager !== undefined) {
    console.error(`${missing().join(' and ')} not found: installing with ${manager[0]}`)
    install(manager)
  }
}
if (missing().length > 0) {
  console.error(
    `the tests need ${missing().join(' and ')}: install the package "redis-server" (Debian, Ubuntu) or ` +
      '"redis" (Fedora, Alpine, Arch, Homebrew)',
  )
  process.exit(1)
}
