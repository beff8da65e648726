import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkConfig, defineConfig, loadConfig, schema } from 'ratethrottle/config'
import { expect, test } from 'vitest'
import { serve } from '../http/serve.ts'
import { file, folder, load } from './files.ts'

// What RateThrottle for Python gets wrong about its configuration: ratethrottle.md 3.6.

test('D72: the shape that its documentation shows is refused key by key, each with its line', () => {
  const text = [
    'storage:',
    '  url: redis://prod:6379/0',
    '  options: {}',
    'ddos:',
    '  threshold: 50000',
    'rules:',
    '  - name: api',
    '    limit: 100',
    '    window: 60',
  ].join('\n')
  const { ok, errors } = checkConfig(text, 'ratethrottle.yaml', { env: {} })
  expect(ok).toBe(false)
  expect(errors.map(({ line, path }) => [line, path])).toEqual([
    [2, 'storage'],
    [4, 'ddos'],
    [6, 'rules'],
  ])
  expect(errors[0]?.text).toBe(
    'ratethrottle.yaml:2:3: storage must be a text of 1 to 4096 characters, got an object',
  )
})

test('D72: an unknown key anywhere is an error, never a default', async () => {
  const shapes = [
    { limit: '1/hour' },
    { limiters: { api: { limits: '1/hour', bursts: 5 } } },
    { limiters: { api: { limits: { count: 1, windowMs: 5, bursts: 1 } } } },
    { limiters: { api: { limits: '1/hour', lease: { size: 1, tll: 5 } } } },
    { limits: '1/hour', shield: { modes: 'enforce' } },
    { limits: '1/hour', shield: { failures: { mins: 5 } } },
    { limits: '1/hour', insight: { tops: 5 } },
  ]
  for (const shape of shapes) {
    const error = await loadConfig(file(shape).path).catch((found) => found)
    expect(error.code, JSON.stringify(shape)).toBe('INVALID_CONFIG')
    expect(error.errors[0].message).toMatch(/unknown key .*did you mean/)
  }
})

test('D72: what the file says about the storage is what is used', async () => {
  const config = await load(
    file('limiters:\n  api:\n    limits: 5/hour\n    storage: ${URL}\n', 'limits.yaml').path,
    { env: { URL: 'redis://127.0.0.1:1/0' } },
  )
  const { available } = await config.limiter('api').ready()
  // Not memory, and not localhost:6379.
  expect(available).toBe(false)
})

test('D73: a bad file at the start is an error with all mistakes, and nothing goes on', async () => {
  const bad = {
    limiters: { a: { limits: '-5/hour' }, b: { limits: '1/hour', storage: 'bogus:' }, c: {} },
  }
  const error = await loadConfig(file(bad).path).catch((found) => found)
  expect(error.name).toBe('ConfigError')
  const paths = error.errors.map(({ path }: { path: string }) => path)
  expect(paths).toEqual(
    ['limiters.a.limits', 'limiters.b.storage', 'limiters.c', 'routes'].slice(0, 3),
  )
  await expect(loadConfig(file('limiters: [', 'x.yml').path)).rejects.toThrow(/x\.yml:1:/)
  await expect(loadConfig(file('', 'x.yaml').path)).rejects.toThrow(/empty file/)
})

test('D73: a bad file later leaves no trace, and a key that is taken out is out', async () => {
  const content = file({ limiters: { api: { limits: '2/hour', status: 420 } } })
  const config = await load(content.path)
  const served = await serve('node:http', { config })
  expect(await served.statuses(3)).toEqual([200, 200, 420])
  for (const bad of [
    'limits: -5',
    { limits: '-5/hour' },
    { limits: '9/hour', storage: 'bogus:' },
  ]) {
    content.write(bad)
    expect((await config.reload()).ok).toBe(false)
    expect(await served.statuses(1)).toEqual([420])
  }
  content.write({ limiters: { api: { limits: '2/hour' } } })
  expect((await config.reload()).ok).toBe(true)
  expect(await served.statuses(1)).toEqual([429])
})

test('D74: a typing error in the path makes no file', async () => {
  const empty = folder()
  for (const name of ['ratethrottle.config.json', 'ratethrottle.config.yaml', 'x.toml']) {
    await expect(loadConfig(join(empty, name))).rejects.toThrow(
      /can't be read: there is no such file/,
    )
  }
  await expect(loadConfig(empty)).rejects.toThrow(/no regular file/)
  expect(readdirSync(empty)).toEqual([])
})

test('D74: nothing is written, in any directory, by loading, reloading, printing and closing', async () => {
  const place = folder()
  const path = join(place, 'limits.json')
  const text = '{"limits":"1/hour","message":"${SECRET}"}'
  writeFileSync(path, text)
  const program = `
    const { loadConfig } = require('ratethrottle/config')
    const { rateThrottle } = require('ratethrottle/http')
    loadConfig(${JSON.stringify(path)}, { watch: true }).then(async (config) => {
      rateThrottle({ config })
      await config.reload()
      console.log(JSON.stringify(config), JSON.stringify(config.state()))
      config.close()
    })`
  const { stdout } = await promisify(execFile)(process.execPath, ['--eval', program], {
    env: { ...process.env, SECRET: 'hunter2-hunter2' },
  })
  expect(stdout).toContain('${SECRET}')
  expect(stdout).not.toContain('hunter')
  expect(readdirSync(place)).toEqual(['limits.json'])
  expect(readFileSync(path, 'utf8')).toBe(text)
  expect(existsSync('ratethrottle.yaml')).toBe(false)
})

/** Values for each key, two of them, that make different limiters. */
const EFFECTS: Readonly<Record<string, readonly [unknown, unknown]>> = {
  limits: ['1/hour', '2/hour'],
  burst: [1, 2],
  name: ['a', 'b'],
  scope: ['a', 'b'],
  policy: ['a', 'b'],
  algorithm: ['fixed-window', 'token-bucket'],
  blockFor: ['1 hour', '2 hours'],
  capacity: [1_000, 2_000],
  onMismatch: ['error', 'private'],
  maxWaitersPerKey: [1, 2],
  maxWaiters: [1, 2],
  cost: [1, 2],
  trust: ['loopback', '10.0.0.0/8'],
  methods: [['GET'], ['POST']],
  allow: ['192.0.2.1', '192.0.2.2'],
  deny: ['192.0.2.1', '192.0.2.2'],
  countWhen: ['success', 'failure'],
  outcomeTimeoutMs: [1, 2],
  slowDown: ['1 second', '2 seconds'],
  missingKey: ['deny', 'ip'],
  onKeyError: ['deny', 'ip'],
  keyTimeoutMs: [1, 2],
  headers: ['draft', false],
  status: [420, 503],
  message: ['a', 'b'],
  problem: [true, false],
  dryRun: [true, false],
  onError: ['open', 'closed'],
  onStoreError: ['open', 'closed'],
  storage: ['memory:', 'shared:x'],
  keyPrefix: ['a', 'b'],
  deadlineMs: [1, 2],
  connectTimeoutMs: [1, 2],
  localDenials: [true, false],
  lease: [{ size: 1 }, { size: 2 }],
  processes: [1, 2],
  concurrent: [1, 2],
}

test('D75: there is no key without an effect: each makes another limiter', async () => {
  const properties = (
    schema() as { properties: { limiters: { additionalProperties: { properties: object } } } }
  ).properties
  const keys = Object.keys(properties.limiters.additionalProperties.properties)
  expect(keys.sort()).toEqual(Object.keys(EFFECTS).sort())
  // As it is built: it loads another file on demand.
  const { READERS, resolveHttpOptions } = await import('../../dist/http/options.js')
  for (const key of keys) {
    const [one, other] = (EFFECTS[key] ?? []).map((value) => {
      const shared = key === 'onMismatch' ? { storage: 'shared:x' } : {}
      return resolveHttpOptions({ limits: '1/hour', ...shared, [key]: value })
    })
    expect(printed(one), key).not.toBe(printed(other))
  }
  expect(Object.keys(READERS).length).toBeGreaterThan(25)
})

/** What the options were read as, functions and sets included. */
function printed(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (inner instanceof Set) return [...inner]
    if (typeof inner?.resolve === 'function') {
      return inner.resolve('127.0.0.1', { 'x-forwarded-for': '192.0.2.1' })
    }
    if (typeof inner === 'function') return String(inner)
    return inner
  })
}

test('D75: every option of the adapters that is data is a key, and every other is for programs', async () => {
  const { READERS } = await import('../../ts/http/options.ts')
  const { LIMITER_OPTIONS } = await import('../../ts/options.ts')
  const { REDIS_OPTIONS } = await import('../../ts/create.ts')
  const { FUNCTIONS, LIMITER_KEYS, TOP_KEYS } = await import('../../ts/config/table.ts')
  const all = new Set([...Object.keys(READERS), ...LIMITER_OPTIONS, ...REDIS_OPTIONS])
  const known = new Set([...Object.keys(LIMITER_KEYS), ...Object.keys(TOP_KEYS), ...FUNCTIONS])
  // `shared` is said by the storage, and `config` is the file itself.
  expect([...all].filter((name) => !known.has(name)).sort()).toEqual(['config', 'shared'])
  expect([...known].filter((name) => !all.has(name))).toEqual(['$schema'])
})

test('D75: `dryRun`, `headers` and `methods` of the file do what they say', async () => {
  const one = defineConfig({ limits: '1/hour', dryRun: true })
  const dry = await serve('Express 5', { config: one })
  expect(await dry.statuses(3)).toEqual([200, 200, 200])
  const plain = await serve('Express 5', {
    config: defineConfig({ limits: '1/hour', headers: false }),
  })
  expect((await plain.ask('/')).headers['x-ratelimit-limit']).toBeUndefined()
  const post = await serve('Express 5', {
    config: defineConfig({ limits: '1/hour', methods: ['POST'] }),
  })
  expect(await post.statuses(3)).toEqual([200, 200, 200])
  expect(await post.statuses(2, '/', { method: 'POST' })).toEqual([200, 429])
})
