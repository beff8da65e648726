// Runs after `npm ci` in a checkout: builds the addon and the TypeScript layer.
// Users of the published package never come here; they get a prebuilt addon.
import { spawnSync } from 'node:child_process'

function run(command, args) {
  const shell = process.platform === 'win32'
  return spawnSync(command, args, { stdio: 'inherit', shell }).status === 0
}

function hasCargo() {
  const shell = process.platform === 'win32'
  return spawnSync('cargo', ['--version'], { stdio: 'ignore', shell }).status === 0
}

if (!hasCargo()) {
  console.error(
    [
      'ratethrottle: `cargo` was not found, and a checkout has to build its native addon.',
      'Install Rust 1.88 or newer (https://rustup.rs), open a new shell and run `npm ci` again.',
      'Users of a packed tarball need no compiler: `npm pack` on a machine that has Rust makes one.',
    ].join('\n'),
  )
  process.exit(1)
}
process.exit(run('npm', ['run', 'build']) ? 0 : 1)
