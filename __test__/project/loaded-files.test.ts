import { execFileSync } from 'node:child_process'
import { relative } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = process.cwd()
const SLOW = /^NativeModule (?:net|http|http2|crypto|cluster|dns|tls|child_process|assert)$/

/** What a program has loaded when it ends. */
interface Loaded {
  /** Files of this package and of others, from the root. */
  readonly files: readonly string[]
  /** Modules of Node that take milliseconds to load. */
  readonly slow: readonly string[]
}

function loadedBy(program: string, kind: 'commonjs' | 'module' = 'commonjs'): Loaded {
  const text = `
    const known = new Set(process.moduleLoadList)
    ${program}
    const { Module } = process.getBuiltinModule('node:module')
    const builtins = process.moduleLoadList.filter((name) => !known.has(name))
    console.log(JSON.stringify({ files: Object.keys(Module._cache), builtins }))
    process.exit()`
  const words = [`--input-type=${kind}`, '--eval', text]
  const out = execFileSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' })
  const { files, builtins } = JSON.parse(out) as Record<'files' | 'builtins', string[]>
  const paths = files.map((file) => relative(ROOT, file)).filter((file) => !/^[[.]/.test(file))
  return { files: paths, slow: builtins.filter((name) => SLOW.test(name)) }
}

const FIRST = "new RateLimiter('1/minute').allow('user:1')"
const RATE_LIMITER = [
  ['commonjs', `const { RateLimiter } = require('ratethrottle'); ${FIRST}`],
  ['module', `import { RateLimiter } from 'ratethrottle'; ${FIRST}`],
] as const

it.each(RATE_LIMITER)(
  'a RateLimiter loads few files, and nothing that asks Redis: %s',
  (kind, program) => {
    const { files, slow } = loadedBy(program, kind)
    expect(files).toContain('dist/rate-limiter.js')
    expect(codeOf(files).length).toBeLessThanOrEqual(51)
    expect(files.filter(talksToRedis)).toEqual([])
    expect(files.filter((file) => /^dist\/(?:adapters|cli)\//.test(file))).toEqual([])
    expect(slow).toEqual([])
  },
)

it.each([
  ['fastify', 61],
  ['express', 60],
  ['koa', 60],
  ['http', 57],
  ['hono', 62],
  ['web', 62],
  ['graphql', 100],
  ['websocket', 90],
  ['grpc', 82],
])('ratethrottle/%s loads at most %i files, and nothing that asks Redis', (subpath, most) => {
  const { files, slow } = loadedBy(`require('ratethrottle/${subpath}')`)
  expect(codeOf(files).length).toBeLessThanOrEqual(most)
  expect(files.filter(talksToRedis)).toEqual([])
  expect(slow).toEqual([])
})

it('ratethrottle/nest loads at most 84 files beside those of Nest, and nothing that asks Redis', () => {
  const { files } = loadedBy("require('ratethrottle/nest')")
  const own = codeOf(files).filter((file) => file.startsWith('dist/'))
  expect(own.length).toBeLessThanOrEqual(84)
  expect(files.filter(talksToRedis)).toEqual([])
  // Only an application that has them loads these.
  const others = /^node_modules\/@nestjs\/(?!core\/|common\/)/
  expect(files.filter((file) => others.test(file))).toEqual([])
})

it('ratethrottle/redis loads no client before it is used, and no adapter', () => {
  const { files, slow } = loadedBy("require('ratethrottle/redis')")
  expect(codeOf(files).length).toBeLessThanOrEqual(55)
  expect(files.filter((file) => /^node_modules\/|^dist\/(?:http|adapters)\//.test(file))).toEqual(
    [],
  )
  expect(slow).toEqual([])
})

it.each(['memory:', 'redis://127.0.0.1:1/0'])('Redis is loaded for its storage: %s', (storage) => {
  const limits = "limits: '1/minute'"
  const byHand = loadedBy(
    `require('ratethrottle').createLimiter({ ${limits}, storage: '${storage}' })`,
  )
  const inAdapter = loadedBy(
    `require('ratethrottle/http').rateThrottle({ ${limits}, storage: '${storage}' })`,
  )
  const isRedis = storage.startsWith('redis')
  expect(byHand.files.some(talksToRedis)).toBe(isRedis)
  expect(inAdapter.files.some(talksToRedis)).toBe(isRedis)
})

it.each(['fastify', 'express', 'http', 'hono', 'web'])(
  'ratethrottle/%s loads the shield for its option alone',
  (subpath) => {
    const adapter = `require('ratethrottle/${subpath}')`
    const loads = (options: string): boolean => {
      const open =
        subpath === 'fastify'
          ? `${adapter}(require('fastify')(), ${options}, () => {})`
          : `${adapter}.rateThrottle(${options})`
      return loadedBy(open).files.some(isOfShield)
    }
    expect(loads("{ limits: '1/minute' }")).toBe(false)
    expect(loads("{ limits: '1/minute', shield: {} }")).toBe(true)
  },
)

it.each(['fastify', 'express', 'http', 'hono', 'web', 'nest'])(
  'ratethrottle/%s loads nothing of configuration files without one',
  (subpath) => {
    const { files } = loadedBy(`require('ratethrottle/${subpath}')`)
    expect(files.filter((file) => file.startsWith('dist/config/'))).toEqual([])
  },
)

it('ratethrottle/config loads no framework, no Redis, no YAML, no shield and no insight', () => {
  const { files } = loadedBy("require('ratethrottle/config').checkConfig('{}', 'x.json')")
  const extra = /^node_modules\/|^dist\/(?:adapters|shield|insight|redis\/redis|control|cli)\//
  expect(files.filter((file) => extra.test(file))).toEqual([])
  expect(files.filter(talksToRedis)).toEqual([])
})

it.each([
  ['{}', false],
  ["{ blocks: { storage: 'redis://127.0.0.1:1/0' } }", true],
])('a shield with the options %s loads Redis: %s', (options, isLoaded) => {
  const { files } = loadedBy(`require('ratethrottle/shield').shield(${options})`)
  expect(files.some(talksToRedis)).toBe(isLoaded)
})

function isOfShield(file: string): boolean {
  return /^dist\/(?:shield|adapters\/fastify\/shield)/.test(file)
}

function codeOf(files: readonly string[]): readonly string[] {
  return files.filter((file) => /\.c?js$/.test(file))
}

/** All but the names of its options and the schemes of its URLs, which every limiter with a storage reads. */
function talksToRedis(file: string): boolean {
  if (/^dist\/(?:redis\/(?:key|url)|remote\/options)\.js$/.test(file)) return false
  return /^node_modules\/ioredis\/|^dist\/(?:redis|remote)\//.test(file)
}
