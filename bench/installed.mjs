import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What `npm pack` would put into ratethrottle's package, with the binary of this platform. It depends on nothing. */
export function packed(tree) {
  const words = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const text = execFileSync('npm', words, { cwd: tree, encoding: 'utf8', stdio: 'pipe' })
  const [{ files }] = JSON.parse(text)
  const binaries = files.filter(({ path }) => path.endsWith('.node'))
  if (binaries.length !== 1) throw new Error('one binary has to be built: npm run build')
  return { packages: 1, ...sumOf(files.map(({ size }) => size)) }
}

/** A package in node_modules with all that it depends on, but for what its user brings along (peers). */
export function installed(tree, name) {
  const folders = new Set()
  collect(join(tree, 'package.json'), name, folders)
  const sizes = [...folders].flatMap((folder) => [...sizesIn(folder)])
  return { packages: folders.size, ...sumOf(sizes) }
}

function collect(from, name, folders) {
  const folder = folderOf(dirname(from), name)
  if (folders.has(folder)) return
  folders.add(folder)
  const path = join(folder, 'package.json')
  const { dependencies = {} } = JSON.parse(readFileSync(path, 'utf8'))
  for (const dependency of Object.keys(dependencies)) collect(path, dependency, folders)
}

/** As Node finds it: in the next `node_modules` upwards. */
function folderOf(start, name) {
  for (let folder = start; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(join(found, 'package.json'))) return found
    if (folder === dirname(folder)) throw new Error(`${name} is not installed: npm ci`)
  }
}

function* sizesIn(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* sizesIn(path)
    else if (entry.isFile()) yield lstatSync(path).size
  }
}

const sumOf = (sizes) => ({
  files: sizes.length,
  bytes: sizes.reduce((sum, size) => sum + size, 0),
})
