import { execFile } from 'node:child_process'
import {
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ReloadResult } from 'ratethrottle/config'
import { expect, test, vi } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { serve } from '../http/serve.ts'
import { file, folder, load, until } from './files.ts'

const limit = (limits: string, more: object = {}): object => ({
  limiters: { api: { limits, algorithm: 'fixed-window', ...more } },
})

test.each(['token-bucket', 'leaky-bucket', 'sliding-window', 'sliding-log', 'fixed-window'])(
  '%s: what a key has used stays used when the limit changes',
  async (algorithm) => {
    const content = file(limit('10/hour', { algorithm }))
    const config = await load(content.path)
    const api = config.limiter('api')
    for (let i = 0; i < 10; i++) expect((await api.check('key')).allowed).toBe(true)
    content.write(limit('5/hour', { algorithm }))
    expect((await config.reload()).ok).toBe(true)
    expect((await api.check('key')).allowed).toBe(false)
    expect((await api.check('other')).remaining).toBe(4)
    // More than one limit, and back: none of them is forgotten.
    content.write(limit('10/hour; 100/day', { algorithm }))
    expect((await config.reload()).ok).toBe(true)
    expect((await api.check('key')).allowed).toBe(false)
  },
)

test('blocks outlast a change of the limits', async () => {
  const content = file(limit('1/hour', { blockFor: '1 hour' }))
  const config = await load(content.path)
  const api = config.limiter('api')
  await api.check('key')
  expect((await api.check('key')).allowed).toBe(false)
  content.write(limit('1000/hour', { blockFor: '1 hour' }))
  await config.reload()
  expect((await api.check('key')).retryAfterMs).toBeGreaterThan(3_000_000)
})

test.each([
  ['algorithm', { algorithm: 'sliding-window' }],
  ['capacity', { capacity: 1_000 }],
  ['blockFor', { blockFor: '1 minute' }],
  ['blockFor with steps', { blockFor: ['1 minute', '1 hour'] }],
  ['storage', { storage: `shared:config-${process.pid}` }],
])('%s can change while a limiter is used', async (_, more) => {
  const content = file(limit('2/hour'))
  const config = await load(content.path)
  const served = await serve('node:http', { config })
  expect(await served.statuses(3)).toEqual([200, 200, 429])
  content.write(limit('2/hour', more))
  const result = await config.reload()
  expect(result.errors).toEqual([])
  expect(await served.statuses(3)).toEqual([200, 200, 429])
})

test('a limit that only the core knows to be impossible is found before anything changes', async () => {
  const content = file(limit('10/hour'))
  const config = await load(content.path)
  content.write(limit('1000000000/hour', { algorithm: 'sliding-log' }))
  const { ok, errors } = await config.reload()
  expect(ok).toBe(false)
  expect(errors[0]?.text).toMatch(/json:\d+:\d+: limiters\.api.*exact with sliding-log/)
})

test('a limiter that cannot be opened keeps the old one, and what was opened beside it is closed', async () => {
  const content = file({
    limiters: { api: { limits: '2/hour' }, more: { limits: '1/hour' } },
    routes: { '*': 'api' },
  })
  const config = await load(content.path)
  const served = await serve('node:http', { config })
  const more = { limits: '1/hour', storage: 'redis://127.0.0.1:1/0', connectTimeoutMs: 50 }
  content.write({ limiters: { api: { limits: '9/hour' }, more }, routes: { '*': 'api' } })
  const { ok, errors } = await config.reload()
  expect(ok).toBe(false)
  expect(errors[0]?.message).toMatch(/^limiters\.more can't be opened: its storage does not answer/)
  expect(await served.statuses(3)).toEqual([200, 200, 429])
})

test('requests that wait for their turn end under the version that they began with', async () => {
  const content = file(limit('1/3 seconds', { slowDown: '30 seconds' }))
  const config = await load(content.path)
  const served = await serve('node:http', { config })
  const waiting = served.statuses(2)
  await until(() => served.runs() === 1)
  content.write(limit('5/hour', { slowDown: '1 second' }))
  expect((await config.reload()).ok).toBe(true)
  expect(await waiting).toEqual([200, 200])
  expect(config.state().retiring).toBeGreaterThan(0)
})

test.each([
  ['its limits', {}],
  ['its algorithm', { algorithm: 'sliding-window' }],
])(
  'what a request has taken for the time being is given back after a reload that changes %s',
  async (_, more) => {
    const counted = { countWhen: 'failure', algorithm: 'fixed-window' }
    const content = file(limit('1/hour', counted))
    const config = await load(content.path)
    let answer = (): void => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const served = await serve('node:http', { config }, async (path) => {
      if (path === '/slow') await answered
      return 200
    })
    const slow = served.ask('/slow')
    await until(() => served.runs() === 1)
    content.write(limit('2/hour', { ...counted, ...more }))
    expect((await config.reload()).ok).toBe(true)
    answer()
    expect((await slow).status).toBe(200)
    expect((await config.limiter('api').peek('127.0.0.1')).remaining).toBe(2)
    expect(await served.statuses(3)).toEqual([200, 200, 200])
  },
)

test('a limiter that the program holds is not taken away', async () => {
  const content = file({
    limiters: { a: { limits: '1/hour' }, b: { limits: '1/hour' } },
    routes: { '*': 'a' },
  })
  const config = await load(content.path)
  config.limiter('b')
  expect(() => config.limiter('c')).toThrow(/name must be that of a limiter/)
  content.write({ limiters: { a: { limits: '1/hour' } } })
  const { ok, errors } = await config.reload()
  expect([ok, errors[0]?.message]).toEqual([
    false,
    'limiters must have "b": the program uses config.limiter("b")',
  ])
})

test('onReload is told each result, and its own errors change nothing', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const results: ReloadResult[] = []
  const content = file(limit('1/hour'))
  const config = await load(content.path, {
    onReload: (result) => {
      results.push(result)
      throw new Error('a mistake')
    },
  })
  content.write(limit('2/hour'))
  await config.reload()
  content.write('nothing')
  await config.reload()
  expect(results.map(({ ok }) => ok)).toEqual([true, false])
  expect(config.limiter('api').limits[0]?.count).toBe(2)
  expect(warned).toHaveBeenCalledTimes(2)
  warned.mockRestore()
})

test('reloads that come at once run one after another, and the last file is live', async () => {
  const content = file(limit('1/hour'))
  const config = await load(content.path)
  const all = Array.from({ length: 20 }, (_, i) => {
    content.write(limit(`${i + 2}/hour`))
    return config.reload()
  })
  expect((await Promise.all(all)).every(({ ok }) => ok)).toBe(true)
  expect(config.limiter('api').limits[0]?.count).toBe(21)
})

test('watch: a file that is written in place, replaced or comes back is read; a broken one is not live', async () => {
  const content = file(limit('1/hour'))
  const config = await load(content.path, { watch: true })
  const api = config.limiter('api')
  const isLive = (count: number) => until(() => api.limits[0]?.count === count)
  content.write(limit('2/hour'))
  await isLive(2)
  const beside = `${content.path}.new`
  writeFileSync(beside, JSON.stringify(limit('3/hour')))
  renameSync(beside, content.path)
  await isLive(3)
  content.write('{"limiters":')
  await until(() => config.state().stale)
  expect(api.limits[0]?.count).toBe(3)
  content.write(limit('4/hour'))
  await isLive(4)
  expect(config.state().stale).toBe(false)
  unlinkSync(content.path)
  await until(() => config.state().stale)
  expect(config.state().errors[0]?.message).toMatch(/can't be read: there is no such file/)
  expect((await api.check('key')).allowed).toBe(true)
  content.write(limit('4/hour'))
  await until(() => !config.state().stale)
})

test('watch: the swap of a link, as Kubernetes makes it, is one reload', async () => {
  const mount = folder()
  const version = (name: string, count: number): void => {
    mkdirSync(join(mount, name))
    writeFileSync(
      join(mount, name, 'limits.yaml'),
      `limiters:\n  api:\n    limits: ${count}/hour\n`,
    )
    symlinkSync(name, join(mount, '..data_tmp'))
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
  }
  version('..2026_11_30', 1)
  symlinkSync('..data/limits.yaml', join(mount, 'limits.yaml'))
  const results: ReloadResult[] = []
  const config = await load(join(mount, 'limits.yaml'), {
    watch: true,
    onReload: (one) => results.push(one),
  })
  for (const count of [2, 3]) {
    version(`..2026_12_0${count}`, count)
    await until(() => config.limiter('api').limits[0]?.count === count)
  }
  rmSync(join(mount, '..2026_11_30'), { recursive: true })
  expect(results.map(({ ok }) => ok)).toEqual([true, true])
})

test('watch: a file that is only touched is no reload', async () => {
  const content = file(limit('1/hour'))
  const config = await load(content.path, { watch: true })
  const later = new Date(Date.now() - 60_000)
  utimesSync(content.path, later, later)
  await new Promise((resolve) => setTimeout(resolve, 1_300))
  expect(config.state().reloads).toBe(0)
})

test('SIGHUP reads the file again, and nothing keeps a process alive', async () => {
  const program = `
    const [{ loadConfig }, { writeFileSync }] = [require('ratethrottle/config'), require('node:fs')]
    const [path] = process.argv.slice(1)
    const write = (count) => writeFileSync(path, JSON.stringify({ limiters: { api: { limits: count + '/hour' } } }))
    write(1)
    const stay = setInterval(() => {}, 1_000)
    let config
    const onReload = ({ ok }) => console.log(ok, clearInterval(stay), config.limiter('api').limits[0].count)
    loadConfig(path, { signal: 'SIGHUP', watch: true, onReload }).then((loaded) => {
      config = loaded
      write(2)
      process.kill(process.pid, 'SIGHUP')
    })`
  const words = ['--eval', program, join(folder(), 'limits.json')]
  const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: PATIENCE })
  expect(stdout).toBe('true undefined 2\n')
})

test('the settings of the environment hold with HTTP and without, where the file says nothing', async () => {
  const env = { RATELIMIT_STRATEGY: 'fixed_window', RATELIMIT_STORAGE_URL: 'redis://127.0.0.1:1/0' }
  const config = await load(
    file({ limiters: { api: { limits: '1/hour', connectTimeoutMs: 20 } } }).path,
    { env },
  )
  expect((await config.limiter('api').ready()).available).toBe(false)
  const own = { limiters: { api: { limits: '1/hour', storage: 'memory:' } } }
  const other = await load(file(own).path, { env })
  expect((await other.limiter('api').ready()).available).toBe(true)
})

test('a configuration that was not awaited is refused by name', async () => {
  const promise = load(file(limit('1/hour')).path)
  await expect(serve('node:http', { config: promise })).rejects.toThrow(
    /config must be what loadConfig resolved to: write await/,
  )
  await promise
})

test('a long YAML file is read in turns with all else that the process does', async () => {
  const limiters = (count: number) =>
    Array.from({ length: 900 }, (_, i) => `  limiter-${i}: { limits: ${count + i}/hour }`).join(
      '\n',
    )
  const yaml = (count: number) => `limiters:\n${limiters(count)}\nroutes: { '*': limiter-0 }\n`
  const content = file(yaml(1), 'limits.yaml')
  const config = await load(content.path)
  content.write(yaml(2))
  let turns = 0
  const count = (): void => {
    turns++
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  const { ok } = await config.reload()
  clearImmediate(next)
  expect(ok).toBe(true)
  expect(config.limiter('limiter-0').limits[0]?.count).toBe(2)
  // To open, read and close the file takes four or five.
  expect(turns).toBeGreaterThan(8)
})
