import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Called, call, callWith, folder, serve } from './calls.ts'
import { redisWith } from './redis.ts'

interface Found {
  readonly code: string
  readonly severity: string
  readonly where: string
  readonly what: string
  readonly why: string
  readonly instead: string
}

/** Sockets of this test's processes alone. */
const own = () => ({ XDG_RUNTIME_DIR: folder() })
const place = folder()
Object.assign(process.env, { XDG_RUNTIME_DIR: place })

function file(options: unknown, name = 'limits.json'): string {
  const path = join(place, name)
  writeFileSync(path, typeof options === 'string' ? options : JSON.stringify(options))
  return path
}

async function doctor(args: string[], env?: NodeJS.ProcessEnv): Promise<Found[]> {
  const words = [...args, '--json']
  return findingsIn(await callWith(env ?? {}, ['doctor', ...words]))
}

function findingsIn({ code, out, err }: Called): Found[] {
  expect(err).toBe('')
  const { findings } = JSON.parse(out) as { findings: Found[] }
  expect(code).toBe(findings.length === 0 ? 0 : 1)
  for (const { why, instead, what } of findings) {
    for (const text of [why, instead, what]) expect(text.length).toBeGreaterThan(3)
  }
  return findings
}

const codes = (found: readonly Found[]) => [...new Set(found.map(({ code }) => code))]

const CLEAN = {
  limiters: {
    api: { limits: ['10/second', '300/minute'] },
    login: { limits: '5/minute', blockFor: '10 minutes' },
  },
  routes: { 'POST /login': 'login', 'GET /health': false, '*': 'api' },
  trust: ['10.0.0.0/8'],
  allow: ['10.1.0.0/16'],
  headers: 'draft',
}

it('a sound setup has no finding: file, environment, Redis, process and service', async () => {
  const redis = await redisWith('noeviction')
  const env = { ...own(), RATELIMIT_HEADERS_ENABLED: 'true' }
  const { url } = await serve({ limits: '20/minute' }, env)
  const words = [file(CLEAN), '--redis', redis.url, '--url', url]
  expect(await doctor(words, env)).toEqual([])
  const { code, out } = await call(['doctor', ...words], { env })
  expect(code).toBe(0)
  expect(out).toContain('limiters.api: limits ["10/second","300/minute"]')
  expect(out).toContain('maxmemory-policy noeviction')
  expect(out).toMatch(/process \d+: api: 20\/minute, token-bucket, tier memory/)
  expect(out).toContain('nothing was found')
})

const PLANTED: readonly [string, object, string[]][] = [
  ['a count that no client reaches', { limits: '1000000/second' }, ['never-refuses']],
  ['a count that one client hardly reaches', { limits: '1000000/minute' }, ['never-refuses']],
  ['a burst of days', { limits: '10/minute', burst: 100_000 }, ['huge-burst']],
  ['a dry run', { limits: '10/minute', dryRun: true }, ['dry-run']],
  ['a free request', { limits: '10/minute', cost: 0 }, ['never-refuses']],
  ['every address', { limits: '10/minute', allow: ['0.0.0.0/0', '::/0'] }, ['allows-all']],
  [
    'every address in halves',
    { limits: '10/minute', allow: ['0.0.0.0/1', '128.0.0.0/1'] },
    ['allows-all'],
  ],
  [
    'everybody trusted',
    { limits: '10/minute', trust: 'everybody-even-if-forged' },
    ['trusts-everybody'],
  ],
  [
    'a looser limit for a shorter window',
    { limits: ['100/minute', '50/hour'] },
    ['shadowed-limit'],
  ],
  [
    'a looser limit for a longer window',
    { limits: ['10/second', '100000/minute'] },
    ['shadowed-limit'],
  ],
  ['the same limit twice', { limits: ['10/minute', '10/60s'] }, ['shadowed-limit']],
  ['a log of a million', { limits: '20000/minute', algorithm: 'sliding-log' }, ['huge-log']],
  ['few keys', { limits: '10/minute', capacity: 10 }, ['small-capacity']],
  ['no headers', { limits: '10/minute', headers: false }, ['headers-off']],
  ['open without the store', { limits: '10/minute', onError: 'open' }, ['open-without-store']],
  [
    'all routes',
    { limiters: { api: { limits: '10/minute' } }, routes: { 'GET /a': 'api', '*': false } },
    ['exempts-all'],
  ],
]

it.each(PLANTED)('a file with a mistake: %s', async (_, options, expected) => {
  expect(codes(await doctor([file(options)]))).toEqual(expected)
})

it('errors of a file are found with their line, and what can be said besides', async () => {
  const found = await doctor([file('{\n  "limits": "10/minute",\n  "trust": "all"\n}')])
  expect(codes(found)).toEqual(['invalid-config', 'trusts-everybody'])
  expect(found[0]?.where).toBe('limits.json:3')
  expect(codes(await doctor([file({ limits: '10/fortnight' })]))).toContain('invalid-config')
  expect(await call(['doctor', join(place, 'missing.json')])).toMatchObject({ code: 1, out: '' })
})

it.each([
  [{ RATELIMIT_STORAGE_URI: 'redis://127.0.0.1' }, 'RATELIMIT_STORAGE_URL'],
  [{ RATELIMT_STORAGE_URL: 'redis://127.0.0.1' }, 'RATELIMIT_STORAGE_URL'],
  [{ RATE_LIMIT_STRATEGY: 'fixed-window' }, 'RATELIMIT_STRATEGY'],
  [{ RATELIMIT_STRATEGY: 'sliding' }, 'a value that the message names'],
])('a setting that is not read: %j', async (env, instead) => {
  expect(await doctor([], { ...own(), ...env })).toMatchObject([
    { code: 'unknown-setting', instead },
  ])
})

it.each([{ NODE_APP_INSTANCE: '1' }, { WEB_CONCURRENCY: '4' }])(
  'counters in memory under several processes: %j',
  async (env) => {
    const path = file(CLEAN)
    const found = await doctor([path], { ...own(), ...env })
    expect(codes(found)).toEqual(['memory-of-several-processes'])
    const shared = file({ ...CLEAN, storage: 'shared:api' }, 'shared.json')
    expect(await doctor([shared], { ...own(), ...env })).toEqual([])
  },
)

it('counters in memory of two processes that run', async () => {
  const env = own()
  await Promise.all([serve({}, env), serve({}, env)])
  const found = await doctor([], env)
  expect(codes(found)).toEqual(['memory-of-several-processes'])
  expect(found[0]?.where).toBe('api')
})

it('a process that a manager runs several of, with a setting that is not read', async () => {
  const env = own()
  await serve({}, { ...env, NODE_APP_INSTANCE: '0', RATELIMITS_STORAGE_URL: 'redis://127.0.0.1' })
  const found = await doctor([], env)
  expect(codes(found)).toEqual(['unknown-setting', 'memory-of-several-processes'])
  expect(found[1]?.what).toBe('api: in memory, and PM2 runs several processes')
})

it('a storage in Redis without its client', async () => {
  const redis = await redisWith('noeviction')
  const env = { ...own(), RATELIMIT_STORAGE_URL: redis.url }
  expect(await doctor([], env)).toEqual([])
  const { out } = await call(['doctor', '--json'], { env, cwd: place })
  expect(JSON.parse(out).findings).toMatchObject([{ code: 'missing-peer' }])
})

it('a process whose table is too small, and one in which every request is exempt', async () => {
  const env = own()
  const small = await serve({ options: { capacity: 1 } }, env)
  for (let i = 0; i < 60; i++) await fetch(small.url, { headers: { 'x-key': `k${i}` } })
  expect(codes(await doctor([], env))).toEqual(['small-capacity'])
  const other = own()
  const exempt = await serve({ http: { allow: ['0.0.0.0/0', '::/0'] }, adapter: true }, other)
  for (let i = 0; i < 30; i++) await fetch(exempt.url)
  await expect.poll(async () => codes(await doctor([], other))).toEqual(['exempts-all'])
})

it('a Redis that forgets, one that wants a password, and none; no password is shown', async () => {
  const lru = await redisWith('allkeys-lru')
  expect(await doctor(['--redis', lru.url])).toMatchObject([{ code: 'redis-evicts' }])
  const path = file({ ...CLEAN, storage: lru.url }, 'redis.json')
  expect(codes(await doctor([path]))).toEqual(['redis-evicts'])
  const wrong = lru.url.replace('//', '//user:hunter2@')
  const { out } = await callWith(own(), ['doctor', '--redis', wrong, '--json'])
  expect(out).toContain('WRONGPASS')
  expect(out).not.toContain('hunter2')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const env = { ...own(), RATELIMIT_STORAGE_URL: `redis://:hunter2@127.0.0.1:${port}` }
  expect(await doctor([], env)).toMatchObject([{ code: 'redis-unreachable', what: 'ECONNREFUSED' }])
})

it('a service that believes forged addresses and keys, and one that tells no limit', async () => {
  const trusting = await serve({ http: { trust: 'everybody-even-if-forged' }, byIp: true })
  const of = (url: string) => doctor(['--url', url])
  expect(await of(trusting.url)).toMatchObject([{ code: 'trusts-everybody' }])
  const keyed = await serve({ header: 'x-api-key' })
  expect(await of(keyed.url)).toMatchObject([{ code: 'forgeable-key' }])
  const proxied = await serve({ http: { trust: 'loopback' }, byIp: true })
  expect(await of(proxied.url)).toEqual([])
  const silent = await serve({ http: { headers: false } })
  expect(codes(await of(silent.url))).toEqual(['headers-off'])
})

it('a process whose configuration is stale', async () => {
  const env = own()
  const path = file({ limits: '10/minute' }, 'live.json')
  const { pid } = await serve({ config: path }, env)
  expect(await doctor([], env)).toEqual([])
  expect(await callWith(env, ['reload', '--pid', `${pid}`])).toMatchObject({ code: 0 })
  file('{ "limits": "10/minute", ', 'live.json')
  const refused = await callWith(env, ['reload'])
  expect(refused.code).toBe(1)
  expect(refused.out).toMatch(/refused, the limits stay as they are: .*live\.json:1/)
  expect(codes(await doctor([], env))).toEqual(['stale-config'])
  file({ limits: '20/minute' }, 'live.json')
  expect((await callWith(env, ['reload'])).out).toMatch(/reloaded/)
  expect(await doctor([], env)).toEqual([])
})
