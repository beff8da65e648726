import { defineConfig } from 'ratethrottle/config'
import { expect, test } from 'vitest'
import { ADAPTERS, serve } from '../http/serve.ts'
import { file, load } from './files.ts'

const ROUTES = { 'GET /search': 'search', '/free': false, '*': 'api' }
const FIRST = {
  algorithm: 'fixed-window',
  limiters: { api: { limits: '4/hour' }, search: { limits: '2/hour', status: 420 } },
  routes: ROUTES,
}

/** Whether its requests are those of the web, with a URL and their own headers. */
const hasUrls = (framework: string): boolean => ['Hono', 'web'].includes(framework)

test.each(ADAPTERS)('%s: a request is counted by the limiter of its route', async (framework) => {
  const config = await load(file(FIRST).path)
  const served = await serve(framework, { config })
  expect(await served.statuses(1, '/search')).toEqual([200])
  expect(await served.statuses(1, '/SEARCH/')).toEqual([200])
  // Spellings of one path are one path; its limiter's options answer.
  for (const path of ['/search?q=1', '//search', '/%73earch', '/search#x', '/x/../search']) {
    expect((await served.ask(path)).status, path).toBe(420)
  }
  expect(await served.statuses(5, '/else')).toEqual([200, 200, 200, 200, 429])
  expect(await served.statuses(9, '/free')).toEqual(Array(9).fill(200))
  // What is free is so as it is written, and no other way.
  expect((await served.ask('/FREE')).status).toBe(429)
})

test.each(ADAPTERS)(
  '%s: a reload holds for the next request, and what was used stays used',
  async (framework) => {
    const content = file(FIRST)
    const config = await load(content.path)
    const served = await serve(framework, { config })
    expect(await served.statuses(4, '/')).toEqual([200, 200, 200, 200])
    expect((await served.ask('/')).headers['x-ratelimit-limit']).toBe('4')
    content.write({ ...FIRST, limiters: { ...FIRST.limiters, api: { limits: '6/hour' } } })
    const { ok, changed } = await config.reload()
    expect({ ok, changed }).toEqual({ ok: true, changed: ['api'] })
    expect(await served.statuses(3, '/')).toEqual([200, 200, 429])
    content.write({ ...FIRST, limiters: { ...FIRST.limiters, api: { limits: '3/hour' } } })
    await config.reload()
    expect((await served.ask('/')).status).toBe(429)
    expect((await config.limiter('api').peek('127.0.0.1')).limit).toBe(3)
  },
)

test.each(ADAPTERS)('%s: a reload that fails changes nothing', async (framework) => {
  const content = file(FIRST)
  const config = await load(content.path)
  const served = await serve(framework, { config })
  expect(await served.statuses(4, '/')).toEqual([200, 200, 200, 200])
  const broken = [
    '',
    '{',
    '{}',
    '{"limiters":{"api":{"limits":"9/hour"}}',
    '{"limits":"9/hour","burst":0}',
  ]
  for (const text of broken) {
    content.write(text)
    expect((await config.reload()).ok, text).toBe(false)
    expect((await served.ask('/')).status, text).toBe(429)
    expect(config.state().stale).toBe(true)
  }
})

test.each(ADAPTERS)(
  '%s: a configuration that was closed lets no request pass',
  async (framework) => {
    const config = await load(file(FIRST).path)
    const served = await serve(framework, { config })
    expect(await served.statuses(1)).toEqual([200])
    config.close()
    expect(await served.statuses(1)).toEqual([500])
  },
)

test.each(ADAPTERS)(
  '%s: one limiter counts every request, and options of the program hold',
  async (framework) => {
    const config = defineConfig({ limiters: { api: { limits: '2/hour' } } })
    const key = (request: { headers?: Record<string, string>; req?: unknown }): string =>
      hasUrls(framework) ? 'one' : (request.headers?.['x-key'] ?? 'none')
    const served = await serve(framework, { config, key, message: 'too many' })
    expect(await served.statuses(3, '/', { headers: { 'x-key': 'a' } })).toEqual([200, 200, 429])
    const refused = await served.ask('/', { headers: { 'x-key': 'a' } })
    expect(refused.body).toContain('too many')
    if (!hasUrls(framework)) {
      expect(await served.statuses(1, '/', { headers: { 'x-key': 'b' } })).toEqual([200])
    }
  },
)

test.each(ADAPTERS)(
  '%s: a shield that a reload adds stands before the next request',
  async (framework) => {
    const content = file(FIRST)
    const config = await load(content.path)
    const served = await serve(framework, { config })
    expect(await served.statuses(1)).toEqual([200])
    content.write({ ...FIRST, deny: '127.0.0.1', shield: { mode: 'enforce' } })
    expect((await config.reload()).ok).toBe(true)
    const denied = await served.ask('/')
    // The shield's answer, not that of the limiter behind it.
    expect([denied.status, denied.headers['cache-control']]).toEqual([403, 'no-store'])
    content.write({ ...FIRST, deny: '127.0.0.1' })
    await config.reload()
    expect((await served.ask('/')).headers['cache-control']).toBeUndefined()
    content.write(FIRST)
    expect((await config.reload()).ok).toBe(true)
    expect(await served.statuses(1)).toEqual([200])
  },
)

test.each(ADAPTERS)('%s: limits of the program are refused beside a file', async (framework) => {
  const config = await load(file(FIRST).path)
  await expect(serve(framework, { config, limits: '1/hour' })).rejects.toThrow(
    /limits must be left out/,
  )
})

test.each(ADAPTERS)('%s: with two readings of a path both limiters count', async (framework) => {
  // node:http's own clients resolve dots, so these paths are asked for as they are.
  const config = await load(
    file({ ...FIRST, routes: { '/a/*': 'api', '/search': 'search', '*': false } }).path,
  )
  const served = await serve(framework, { config })
  expect((await served.ask('/a/../search')).status).toBe(200)
  const [api, search] = await Promise.all(
    ['api', 'search'].map((name) => config.limiter(name).peek('127.0.0.1')),
  )
  // In a URL the path is resolved by then.
  expect(search?.remaining).toBe(1)
  expect(api?.remaining).toBe(hasUrls(framework) ? 4 : 3)
})

test('a mistake of the program beside a file is reported once', async () => {
  const config = await load(file(FIRST).path)
  const error = await serve('Express 5', { config, trust: ['10.0.0.0/99'] as never }).catch(
    (found) => found,
  )
  expect(error.errors).toHaveLength(1)
  expect(error.errors[0]).toMatchObject({ path: 'trust', line: undefined })
})
