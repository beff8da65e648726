// Packs what is to be published: a package for each platform, then the package itself, in this order.
// In the workflow: node scripts/release/pack.mjs ARTIFACTS OUT, where all addons are required and checked.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Node 20 runs on it; an addon that needs a later one would not load there. */
const NEWEST_GLIBC = [2, 28]

/** Answers the paths of the tarballs, the package itself last. */
export function pack({ folder, artifacts, out, isWhole }) {
  createPackages(folder)
  const platforms = readdirSync(join(folder, 'npm')).sort()
  for (const name of platforms) takeAddon(join(folder, 'npm', name), artifacts)
  const whole = platforms.filter((name) => addonOf(join(folder, 'npm', name)) !== undefined)
  const lacking = platforms.filter((name) => !whole.includes(name))
  if (isWhole && lacking.length > 0) throw new Error(`no addon for ${lacking.join(', ')}`)
  if (lacking.length > 0) console.error(`release: not built here: ${lacking.join(', ')}`)
  for (const name of whole) checkLibc(join(folder, 'npm', name), isWhole)
  writeManifest(folder, platforms)
  mkdirSync(out, { recursive: true })
  const folders = [...whole.map((name) => join(folder, 'npm', name)), folder]
  return folders.map((path) => packOne(path, out))
}

function addonOf(folder) {
  return readdirSync(folder).find((name) => name.endsWith('.node'))
}

/** The versions of glibc that an addon asks for are in it as plain text. */
function checkLibc(folder, isWhole) {
  const name = addonOf(folder)
  if (!name.endsWith('-gnu.node')) return
  const text = readFileSync(join(folder, name), 'latin1')
  const versions = [...text.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, a, b]) => [
    Number(a),
    Number(b),
  ])
  const newest = versions.sort(([a, b], [c, d]) => a - c || b - d).at(-1) ?? NEWEST_GLIBC
  if (newest[0] < NEWEST_GLIBC[0] || newest[1] <= NEWEST_GLIBC[1]) return
  const message = `${name} needs glibc ${newest.join('.')}, Node 20 runs from ${NEWEST_GLIBC.join('.')} on`
  if (isWhole) throw new Error(message)
  console.error(`release: ${message}; the workflow builds with an older one`)
}

/**
 * The package asks for all platforms' packages, in its own version; npm installs the one that fits. It has no
 * script "prepare", which builds a checkout: npm never runs it for users, but some versions warn of it.
 */
function writeManifest(folder, platforms) {
  const path = join(folder, 'package.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  for (const field of ['repository', 'homepage', 'bugs']) {
    if (manifest[field] === undefined) throw new Error(`package.json must have a ${field}`)
  }
  const { GITHUB_REF_TYPE: type, GITHUB_REF_NAME: tag } = process.env
  if (type === 'tag' && tag !== `v${manifest.version}`) {
    throw new Error(`the tag must be v${manifest.version}, got ${tag}`)
  }
  const names = platforms.map((name) => `${manifest.name}-${name}`)
  manifest.optionalDependencies = Object.fromEntries(names.map((name) => [name, manifest.version]))
  delete manifest.scripts?.prepare
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`)
}

function packOne(folder, out) {
  const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', resolve(out)]
  const text = execFileSync('npm', words, { cwd: folder, encoding: 'utf8', ...shell() })
  // An array of one, or one under the package's name: npm 11 and 12 differ.
  const [tarball] = Object.values(JSON.parse(text))
  return join(resolve(out), tarball.filename)
}

/** `npm/<platform>/package.json` for each target of package.json. */
function createPackages(folder) {
  const words = ['--no-install', 'napi', 'create-npm-dirs']
  execFileSync('npx', words, { cwd: folder, stdio: ['ignore', 2, 2], ...shell() })
}

/** Each job of the workflow hands its addon over in a folder of its own. */
function takeAddon(folder, artifacts) {
  const { main } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const found = readdirSync(artifacts, { recursive: true }).find((path) => basename(path) === main)
  if (found !== undefined) copyFileSync(join(artifacts, found), join(folder, main))
}

const shell = () => ({ shell: process.platform === 'win32' })

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [artifacts, out] = process.argv.slice(2)
  const tarballs = pack({ folder: process.cwd(), artifacts, out, isWhole: true })
  console.log(tarballs.join('\n'))
}
