// The recipes of the guides in real frameworks and bundlers, with the packed package: npm run prove:recipes [-- name ...]
// Installs pinned versions into a folder that is deleted at the end: about 2 GB, for ten minutes or so. Exits with 1 if
// one fails, or can not be installed, or all take half an hour.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { esbuild, vite } from './recipes/bundlers.mjs'
import * as frameworks from './recipes/frameworks.mjs'
import { run } from './recipes/project.mjs'
import * as servers from './recipes/servers.mjs'

const ALL = { esbuild, vite, ...servers, ...frameworks }
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !Object.hasOwn(ALL, name))
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; there are ${Object.keys(ALL).join(', ')}`)
  process.exit(2)
}

const place = mkdtempSync(join(tmpdir(), 'ratethrottle-recipes-'))
process.once('exit', () => rmSync(place, { recursive: true, force: true, maxRetries: 3 }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))

// The addon is the one that `npm ci` has built.
const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', place]
const packed = await run('npm', pack, process.cwd())
const [{ filename }] = Object.values(JSON.parse(packed.slice(packed.search(/^[[{]/m))))
const tarball = join(place, filename)
for (const [name, prove] of Object.entries(ALL)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  const since = Date.now()
  console.log(`${name} ...`)
  const seconds = () => `${((Date.now() - since) / 1000).toFixed(0)} s`
  try {
    console.log(`${name}: ${await prove(join(place, name), tarball)} (${seconds()})`)
  } catch (error) {
    console.error(`${name}: FAILED after ${seconds()}: ${error.message}`)
    process.exitCode = 1
  }
}
