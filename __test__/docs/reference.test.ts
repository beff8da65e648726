import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { diagnosticsOf } from '../fixtures/compiled.ts'
import { pageAt } from './pages.ts'

// The pages of docs/reference name what the source has: no more and no less.

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** All sources below a folder as one text. */
function sourcesIn(folder: string, extension: string): string {
  const names = readdirSync(join(ROOT, folder), { recursive: true }) as string[]
  const files = names.filter((name) => name.endsWith(extension))
  return files.map((name) => read(join(folder, name))).join('\n')
}

const typescript = sourcesIn('ts', '.ts')
const rust = sourcesIn('crate/core/src', '.rs') + sourcesIn('crate/napi/src', '.rs')
const loader = read('crate/napi/binding.cjs')

const unique = (texts: Iterable<string>) => [...new Set(texts)].sort()

/** Every match of the pattern's first group. */
const allOf = (text: string, pattern: RegExp) =>
  unique([...text.matchAll(pattern)].map(([, found = '']) => found))

/** The names that a page explains, each under its heading: `### \`NAME\``. */
const headingsOf = (name: string) =>
  allOf(pageAt(`docs/reference/${name}.md`).prose, /^### `([^`]+)`$/gm)

/** Codes of Node, OpenSSL and the network, and names that are no codes. */
const FOREIGN =
  /^(ERR_|DEPTH_ZERO_|SELF_|UNABLE_|CERT_|MODULE_NOT_FOUND|NAPI_RS_|RATELIMIT_|RATETHROTTLE_)/

test('errors.md explains every code of an error', () => {
  const quoted = /['"]([A-Z]+(?:_[A-Z]+)+|CLOSED|INTERNAL)['"]/g
  const codes = allOf(typescript + rust + loader, quoted).filter((code) => !FOREIGN.test(code))
  expect(codes.length).toBeGreaterThan(20)
  expect(headingsOf('errors')).toEqual(codes)
})

test('warnings.md explains every code of a warning', () => {
  const codes = allOf(typescript + rust, /\b(RATETHROTTLE_[A-Z_]+)\b/g)
  expect(codes.length).toBeGreaterThan(15)
  expect(headingsOf('warnings')).toEqual(codes)
})

test('environment.md names every setting, events.md every channel', () => {
  const settings = allOf(typescript, /\b(RATELIMIT_[A-Z_]+)\b/g)
  const channels = allOf(typescript, /'(ratethrottle:[a-z]+)'/g)
  expect(settings.length).toBe(4)
  expect(channels.length).toBeGreaterThan(3)
  expect(settings.filter((name) => !read('docs/reference/environment.md').includes(name))).toEqual(
    [],
  )
  expect(channels.filter((name) => !read('docs/reference/events.md').includes(name))).toEqual([])
})

test('options.md explains every option, under a heading of its own', {
  timeout: 60_000,
}, async () => {
  const documented = headingsOf('options').map((name) => `'${name}'`)
  const errors = await diagnosticsOf(`
    import Fastify, { type FastifyPluginCallback } from 'fastify'
    import type { CreateLimiterOptions, RateLimiterOptions, WaitOptions } from 'ratethrottle'
    import type { LimiterOptions, LimitOptions, MethodLimiter } from 'ratethrottle/decorators'
    import type { rateThrottle as express } from 'ratethrottle/express'
    import type plugin from 'ratethrottle/fastify'
    import type { rateThrottle as hono } from 'ratethrottle/hono'
    import type { rateThrottle as http } from 'ratethrottle/http'
    import type { RedisLimiterOptions } from 'ratethrottle/redis'
    import type { rateThrottle as web } from 'ratethrottle/web'
    type OptionsOf<T> = T extends (options: infer O) => unknown ? keyof O : never
    type PluginOptions = typeof plugin extends FastifyPluginCallback<infer O> ? keyof O : never
    type Known = keyof RateLimiterOptions | keyof CreateLimiterOptions | keyof WaitOptions
      | keyof LimitOptions<unknown, unknown[]>
      | keyof LimiterOptions<unknown, unknown[], MethodLimiter> | keyof RedisLimiterOptions
      | OptionsOf<typeof web> | OptionsOf<typeof express> | OptionsOf<typeof hono> | OptionsOf<typeof http> | PluginOptions
    type Documented = ${documented.join(' | ')}
    const missing: never = null as unknown as Exclude<Known, Documented | \`RATELIMIT_\${string}\`>
    const surplus: never = null as unknown as Exclude<Documented, Known>
    export { Fastify, missing, surplus }
  `)
  expect(errors, 'a type that is not never names the options').toEqual([])
})

test('api.md names every export of every entry point', () => {
  const require = createRequire(join(ROOT, 'package.json'))
  const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, unknown> }
  const rows = Object.keys(exports).flatMap((subpath) => {
    if (subpath === './package.json') return []
    const names = Object.keys(require(`ratethrottle${subpath.slice(1)}`))
    const shown = names.filter((name) => !['default', 'module.exports'].includes(name)).sort()
    return `| \`ratethrottle${subpath.slice(1)}\` | ${shown.map((name) => `\`${name}\``).join(', ')} |`
  })
  const page = read('docs/reference/api.md')
  expect(rows.filter((row) => !page.includes(row))).toEqual([])
})

test('api.md names every type that an entry point exports', () => {
  const { exports } = JSON.parse(read('package.json')) as {
    exports: Record<string, { types?: string }>
  }
  const page = read('docs/reference/api.md')
  const missing = Object.entries(exports).flatMap(([subpath, { types }]) =>
    typesIn(types === undefined ? '' : read(types))
      .filter((name) => !page.includes(`\`${name}\``))
      .map((name) => `${subpath}: ${name}`),
  )
  expect(missing).toEqual([])
})

/** The types that a declaration file exports: in a list, one by one, or in the namespace of a plugin. */
function typesIn(declarations: string): readonly string[] {
  const text = declarations.replaceAll(/\/\*[\s\S]*?\*\//g, '')
  const listed = [...text.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, type, names = '']) =>
    names.split(',').flatMap((name) => {
      const isType = type !== undefined || name.trim().startsWith('type ')
      return isType && name.trim() !== '' ? name.trim().replace(/^type |.* as /, '') : []
    }),
  )
  const single = allOf(text, /export (?:declare )?(?:interface|type) (\w+)/g)
  const namespaces = allOf(text, /declare namespace \w+ \{([\s\S]*?)\n\}/g).join('\n')
  return unique([...listed, ...single, ...allOf(namespaces, /\btype (\w+)/g)])
}
