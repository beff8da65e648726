import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject, it } from 'vitest'
import { MANIFEST, nameOf, SUBPATHS, TARGETS } from './subpaths.ts'

const ROOT = process.cwd()
const tarball = inject('tarball')
const files = tarball.files.map((file) => file.path)

/** Everything that may be in it: the compiled layer, the addon with its loader, and what README links to. */
const EXPECTED = [
  /^(LICENSE|README\.md|CHANGELOG\.md|SECURITY\.md|package\.json)$/,
  /^docs\/[\w/-]+\.(md|svg)$/,
  /^bench\/record\/[\w.-]+\.(md|svg)$/,
  /^examples\/[\w/-]+\.(mjs|ts)$/,
  /^dist\/.+\.(js|d\.ts)$/,
  /^dist\/config\/schema\.json$/,
  /^crate\/napi\/binding\.(cjs|d\.cts)$/,
  /^crate\/napi\/ratethrottle\.[\w-]+\.node$/,
]

it('the package has no file that users do not need', () => {
  const { size, unpackedSize } = tarball
  // 2,707,302 before there were: the command line and its control (0.28 MB), the insight with its page (0.34 MB),
  // configuration files (0.17 MB), and the documentation of all three. 3,820,000 before permits (0.14 MB), and Koa, web,
  // Nest, WebSocket, GraphQL and gRPC (0.45 MB with what they have in common) with their guides and references.
  expect(unpackedSize, 'bytes on the disk of each user').toBeLessThan(4_800_000)
  console.log(`${files.length} files, ${kilo(size)} packed, ${kilo(unpackedSize)} unpacked`)
  const unexpected = files.filter((file) => !EXPECTED.some((pattern) => pattern.test(file)))
  expect(unexpected, '"files" in package.json takes in too much').toEqual([])
})

it('every compiled file of the package has a source', () => {
  const compiled = files.filter((file) => file.startsWith('dist/'))
  const orphans = compiled.filter((file) => !existsSync(join(ROOT, sourceOf(file))))
  expect(orphans, 'left from sources that are gone: rm -r dist && npm run build:ts').toEqual([])
})

it('the package has one addon, for this machine', () => {
  expect(files.filter((file) => file.endsWith('.node'))).toHaveLength(1)
})

it('every file that package.json names is in the package', () => {
  const targets = TARGETS.flatMap(([, target]) => [target.types, target.default])
  const pointed = [MANIFEST.main, MANIFEST.types, ...targets].map((path) => path.replace('./', ''))
  expect(files).toEqual(expect.arrayContaining(pointed))
})

it.each(TARGETS)('the export %s has its types first', (_subpath, target) => {
  expect(Object.keys(target)[0]).toBe('types')
})

it('every file that a compiled file requires is in the package', () => {
  const asked = files.filter((file) => file.startsWith('dist/')).flatMap(requestsOf)
  expect(asked.length).toBeGreaterThan(0)
  expect(asked.filter((path) => !files.includes(path))).toEqual([])
})

it('typesVersions has every subpath, for TypeScript with moduleResolution node10', () => {
  const subpaths = TARGETS.filter(([subpath]) => subpath !== '.')
  const expected = subpaths.map(([subpath, { types }]) => [nameOf(subpath), [types]])
  const advice = 'package.json needs a line in typesVersions for each subpath in exports'
  expect(MANIFEST.typesVersions['*'], advice).toEqual(Object.fromEntries(expected))
})

it('the package has no dependencies, and all peers are optional', () => {
  const peers = SUBPATHS.flatMap(([, { peer }]) => peer ?? [])
  expect(MANIFEST.dependencies).toBeUndefined()
  const advice = 'a subpath has a peer that peerDependencies do not name'
  expect(Object.keys(MANIFEST.peerDependencies), advice).toEqual(expect.arrayContaining(peers))
  for (const peer of Object.keys(MANIFEST.peerDependencies)) {
    expect(MANIFEST.peerDependenciesMeta[peer], `${peer} must be optional`).toEqual({
      optional: true,
    })
  }
})

it('every link of the documents leads to a file in the package', () => {
  const texts = files.filter((file) => file.endsWith('.md') && !file.startsWith('bench/'))
  expect(texts).toEqual(
    expect.arrayContaining([
      'README.md',
      'docs/guides/fastify.md',
      'docs/guides/cluster-and-redis.md',
    ]),
  )
  const broken = texts.flatMap((file) =>
    linksOf(file).flatMap((path) => (files.includes(path) ? [] : `${file}: ${path}`)),
  )
  expect(broken, '"files" in package.json, or a link, is wrong').toEqual([])
})

it('package.json has a description and keywords', () => {
  expect(MANIFEST.keywords).toEqual(expect.arrayContaining(['rate-limit', 'fastify', 'express']))
})

it('installing the package runs no script', () => {
  const scripts = ['preinstall', 'install', 'postinstall']
  expect(scripts.filter((name) => name in MANIFEST.scripts)).toEqual([])
})

it('every subpath in README is exported', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const shown = [...readme.matchAll(/['`]ratethrottle\/([\w-]+)['`]/g)].map(
    ([, name]) => `./${name}`,
  )
  expect(shown).toContain('./fastify')
  expect(Object.keys(MANIFEST.exports)).toEqual(expect.arrayContaining(shown))
})

/** Where the relative links and images of a page lead. */
function linksOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)]
  const paths = targets.map(([, link, source]) => (link ?? source ?? '').replace(/#.*$/, ''))
  const isRelative = (path: string) => path !== '' && !/^[a-z]+:/.test(path)
  return paths.filter(isRelative).map((path) => join(file, '..', path))
}

/** The relative files that a compiled file requires, or takes types from. */
function requestsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const requests = [...text.matchAll(/(?:require\(|from |import\()["'](\.[^"']+)["']/g)]
  const extension = file.endsWith('.d.ts') ? '.d.ts' : '.js'
  return requests.map(([, path = '']) => join(file, '..', path.replace(/\.[jt]s$/, extension)))
}

/** The JSON Schema is written by the module beside it. */
function sourceOf(file: string): string {
  if (file === 'dist/config/schema.json') return 'ts/config/schema.ts'
  return file.replace('dist/', 'ts/').replace(/\.(js|d\.ts)$/, '.ts')
}

function kilo(bytes: number): string {
  return `${Math.round(bytes / 1000)} kB`
}
