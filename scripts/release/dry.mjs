// The whole release but the upload, in a copy of this checkout: npm run release:dry [-- --built] [-- --out DIR].
//
// With --built the addon and dist are taken as they are; else both are built. Only this platform's addon is at
// hand here: the packages of the others are made without it, and the packed tarballs of this one are installed
// into an empty project and asked.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addressOf, originOf, writeAddress } from './address.mjs'
import { pack } from './pack.mjs'

const ROOT = join(import.meta.dirname, '../..')
/** What a release from a clone without a remote is said to come from. */
const NOWHERE = 'https://example.invalid/owner/ratethrottle'

const { values } = parseArgs({
  options: { built: { type: 'boolean', default: false }, out: { type: 'string' } },
})
const scratch = mkdtempSync(join(tmpdir(), 'ratethrottle-release-'))
try {
  await main()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

async function main() {
  const copy = join(scratch, 'checkout')
  step('copy of the checkout', () => copyCheckout(copy))
  step('address', () => writeAddress(copy, address()))
  if (values.built) step('dist and addon as they are', () => takeBuilt(copy))
  else step('build', () => build(copy))
  const out = values.out ?? join(scratch, 'tarballs')
  const artifacts = join(copy, 'artifacts')
  const tarballs = step('packages', () => pack({ folder: copy, artifacts, out, isWhole: false }))
  step('install', () => tryOut(tarballs))
  console.log(`release: would publish, in this order:\n  ${tarballs.map(nameOf).join('\n  ')}`)
}

function step(name, act) {
  console.error(`release: ${name}`)
  return act()
}

function address() {
  try {
    return addressOf(process.env, originOf(ROOT))
  } catch {
    console.error(`release: no remote names the repository; ${NOWHERE} stands for it`)
    return NOWHERE
  }
}

/** What git would check out, with changes that are not committed yet. */
function copyCheckout(copy) {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const files = execFileSync('git', list, { cwd: ROOT, encoding: 'utf8' }).split('\0')
  for (const file of files.filter((name) => name !== '' && existsSync(join(ROOT, name)))) {
    cpSync(join(ROOT, file), join(copy, file))
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'), 'dir')
}

function build(copy) {
  const env = { ...process.env, CARGO_TARGET_DIR: join(ROOT, 'target') }
  run('npm', ['run', '--silent', 'build'], copy, env)
  moveAddons(join(copy, 'crate/napi'), copy)
}

function takeBuilt(copy) {
  cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true })
  moveAddons(join(ROOT, 'crate/napi'), copy)
}

/** As the workflow's jobs hand them over. The package itself must hold none. */
function moveAddons(from, copy) {
  const artifacts = join(copy, 'artifacts')
  mkdirSync(artifacts, { recursive: true })
  const addons = readdirSync(from).filter((name) => name.endsWith('.node'))
  if (addons.length === 0) throw new Error('there is no addon: npm run build:native')
  for (const name of addons) cpSync(join(from, name), join(artifacts, name))
  for (const name of addons) rmSync(join(copy, 'crate/napi', name), { force: true })
}

/** As a user: the package, and by its side the one of this platform. */
function tryOut(tarballs) {
  const project = join(scratch, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true }')
  const flags = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional']
  // The optional packages are no registry's yet: this platform's is installed by name.
  run('npm', ['install', ...flags, ...tarballs], project)
  const program = `
    const { RateLimiter } = require('ratethrottle')
    const limiter = new RateLimiter('1/minute')
    if (!limiter.allow('k') || limiter.allow('k')) throw new Error('the installed package does not limit')
  `
  run(process.execPath, ['-e', program], project)
}

function run(command, words, cwd, env = process.env) {
  const shell = process.platform === 'win32'
  execFileSync(command, words, { cwd, env, stdio: ['ignore', 2, 2], shell })
}

function nameOf(path) {
  return path.split(/[\\/]/).at(-1)
}
