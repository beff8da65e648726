import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/*
 * Defects of RateThrottle for Python that are about what is exported and installed. D72 to D75 are in
 * __test__/config, D76 and D79 in __test__/cli; the packed package itself is installed in __test__/package.
 */

const ROOT = process.cwd()
const require = createRequire(join(ROOT, 'package.json'))
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const MANIFEST = JSON.parse(read('package.json')) as {
  readonly dependencies?: object
  readonly exports: Record<string, { readonly types: string; readonly default: string }>
  readonly peerDependencies: Record<string, string>
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>
}

/** The rows of a table of a page, without its head, as cells. */
function rowsOf(page: string, head: string): string[][] {
  const after = page.slice(page.indexOf(head))
  const lines = after.slice(0, after.indexOf('\n\n')).split('\n').slice(2)
  return lines.map((line) => line.split('|').slice(1, -1))
}

const namesIn = (cell = ''): string[] =>
  [...cell.matchAll(/`([\w./]+)`/g)].map(([, name]) => name ?? '')

test('D77: every name that the reference documents can be imported from where it says', () => {
  const page = read('docs/reference/api.md')
  const missing = rowsOf(page, '| import | exports |').flatMap(([from, names]) => {
    const [path = ''] = namesIn(from)
    const exported = Object.keys(require(path))
    return namesIn(names).filter((name) => !exported.includes(name))
  })
  expect(missing).toEqual([])
})

test('D77: so can every type', () => {
  const page = read('docs/reference/api.md')
  const missing = rowsOf(page, '| type | import |').flatMap(([names, from]) => {
    const paths = namesIn(from)
    return paths.flatMap((path) => {
      const { types } = MANIFEST.exports[path.replace('ratethrottle', '.')] ?? { types: '' }
      const declared = types === '' ? '' : declarations(types)
      return namesIn(names).filter((name) => !new RegExp(`\\b${name}\\b`).test(declared))
    })
  })
  expect(missing).toEqual([])
})

/** A declaration file, and those that it exports everything of. */
function declarations(file: string): string {
  const text = read(file)
  const others = [...text.matchAll(/export (?:type )?\* from '(\.[^']+)'/g)].map(([, to = '']) =>
    declarations(join(file, '..', to.replace(/\.(?:js|ts)$/, '.d.ts'))),
  )
  return [text, ...others].join('\n')
}

test('D78: the package says what it needs: no dependency, optional peers, Node, types and a licence', () => {
  expect(MANIFEST.dependencies).toBeUndefined()
  expect(MANIFEST).toMatchObject({ license: 'MIT', engines: { node: expect.any(String) } })
  const peers = Object.keys(MANIFEST.peerDependencies)
  expect(peers.filter((peer) => MANIFEST.peerDependenciesMeta[peer]?.optional !== true)).toEqual([])
  for (const target of Object.values(MANIFEST.exports)) {
    if (typeof target === 'object') expect(read(target.types)).not.toBe('')
  }
})

test('D78: no entry point but that of Redis and that of Nest loads a peer, or any other package', () => {
  const { execFileSync } = process.getBuiltinModule('node:child_process')
  const subpaths = Object.keys(MANIFEST.exports).filter((path) => path !== './package.json')
  const program = `
    const Module = require('node:module')
    const load = Module._load
    const asked = new Set()
    Module._load = function (name, ...rest) {
      const isOwn = name.startsWith('.') || name.startsWith('/') || name.startsWith('#')
      if (!isOwn && !Module.isBuiltin(name) && !name.startsWith('ratethrottle')) asked.add(name)
      return load.call(this, name, ...rest)
    }
    for (const path of ${JSON.stringify(subpaths)}) require('ratethrottle' + path.slice(1))
    console.log(JSON.stringify([...asked]))`
  const printed = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })
  // Of no use without them, and they say so: the client of Redis, and what decorates the module of Nest.
  const own = ['ioredis', '@nestjs/common', '@nestjs/core', 'rxjs']
  expect(JSON.parse(printed).filter((name: string) => !own.includes(name))).toEqual([])
})
