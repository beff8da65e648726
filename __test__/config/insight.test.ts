import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { defineConfig } from 'ratethrottle/config'
import { rateThrottle } from 'ratethrottle/express'
import { type Insight, insight } from 'ratethrottle/insight'
import { expect, onTestFinished, test } from 'vitest'
import { serve } from '../http/serve.ts'
import { file, load } from './files.ts'

const FIRST = {
  algorithm: 'fixed-window',
  insight: { keys: 'plain', top: 10 },
  limiters: { api: { limits: '2/hour' }, search: { limits: '1/hour' } },
  routes: { 'GET /search': 'search', '*': 'api' },
}

test('the insight of a file counts by the names of its limiters, goes on after reloads, and shows a stale file', async () => {
  const content = file(FIRST)
  const config = await load(content.path)
  const served = await serve('Fastify 5', { config })
  await served.statuses(3)
  await served.statuses(2, '/search')
  const figures = () =>
    config.insight?.report().limits.map(({ name, admitted, denied }) => [name, admitted, denied])
  expect(figures()).toEqual([
    ['api', 2, 1],
    ['search', 1, 1],
  ])
  content.write({ ...FIRST, limiters: { ...FIRST.limiters, api: { limits: '4/hour' } } })
  expect((await config.reload()).ok).toBe(true)
  await served.statuses(3)
  await config.limiter('api').check('by hand')
  expect(figures()?.[0]).toEqual(['api', 5, 2])
  expect(config.insight?.report().config?.stale).toBe(false)
  content.write('nothing')
  await config.reload()
  expect(config.insight?.report().config?.stale).toBe(true)
  expect(config.insight?.prometheus()).toMatch(/^ratethrottle_config_stale\S* 1$/m)
})

test('the insight of a file stays as it is while the process runs', async () => {
  const content = file(FIRST)
  const config = await load(content.path)
  content.write({ ...FIRST, insight: { top: 20 } })
  const { ok, errors } = await config.reload()
  expect([ok, errors[0]?.path]).toEqual([false, 'insight'])
})

test('an insight of the program shows the state of a file; two of them are one too many', async () => {
  const view = insight()
  const { insight: _, ...rest } = FIRST
  const content = file(rest)
  const config = await load(content.path)
  const served = await serve('Express 5', { config, insight: view })
  await served.statuses(3)
  expect(view.report().limits.map(({ name, denied }) => [name, denied])).toContainEqual(['api', 1])
  content.write('nothing')
  await config.reload()
  expect(view.report().config?.stale).toBe(true)
  config.close()
  expect(view.report().config?.stale).toBe(true)
  const both = defineConfig({ limits: '1/hour', insight: view })
  const shown = await serve('Express 5', { config: both })
  await shown.statuses(2)
  expect(view.report().limits.map(({ name }) => name)).toContain('default')
  const own = await load(file(FIRST).path)
  await expect(serve('Express 5', { config: own, insight: view })).rejects.toThrow(
    /insight must be left out/,
  )
  view.close()
})

test('a configuration in a program is checked as a file is', () => {
  expect(() => defineConfig({ limits: undefined })).toThrow(/limits must be/)
  expect(() => defineConfig({ limiters: { a: { limits: '1/hour', key: 'ip' as never } } })).toThrow(
    /key must be a function/,
  )
  expect(() => defineConfig({ limts: '1/hour' } as never)).toThrow(
    /unknown key "limts"; did you mean limits/,
  )
  expect(() =>
    defineConfig({ limiters: { a: { limits: () => '1/hour', cost: () => 1, key: () => 'a' } } }),
  ).not.toThrow()
  expect(() => defineConfig({ limits: '1/hour', message: '${NOT_A_VARIABLE}' })).not.toThrow()
})

test.each(['memory:', `shared:insight of a file ${process.pid}`])(
  'the limiters of a file can be asked and changed by key, before and after a reload: %s',
  async (storage) => {
    const written = (count: number): object => ({
      ...FIRST,
      storage,
      limiters: { ...FIRST.limiters, api: { limits: `${count}/hour` } },
    })
    const content = file(written(2))
    const config = await load(content.path)
    const served = await serve('Fastify 5', { config })
    const api = () => config.insight?.limiters().get('api')
    await served.statuses(1)
    const key = config.insight?.report().top.asked[0]?.key ?? ''
    for (const count of [3, 5]) {
      expect(await api()?.peek(key)).toMatchObject({
        allowed: true,
        remaining: count === 3 ? 1 : 4,
      })
      await api()?.block(key, 60_000)
      expect(await served.statuses(1)).toEqual([429])
      await api()?.reset(key)
      expect(await served.statuses(1)).toEqual([200])
      content.write(written(count + 2))
      await config.reload()
    }
  },
)

const ROUTED = {
  limiters: { api: { limits: '3/hour' }, search: { limits: '1/hour' } },
  routes: {
    'get  /search': 'search',
    'GET /users/:id': 'api',
    '/files/*': 'api',
    'GET /health': false,
    '*': 'api',
  },
}
const ASKED = ['/search', '/Search/?q=1', '/users/1', '/users/2', '/files/a/b', '/health', '/none']

/** By limiter and route: what was admitted, and what was denied. */
function rows(view: Insight): Record<string, readonly [number, number]> {
  const { routes } = view.report()
  return Object.fromEntries(
    routes.map(({ limit, route, admitted, denied }) => [`${limit}: ${route}`, [admitted, denied]]),
  )
}

function opened(): Insight {
  const view = insight()
  onTestFinished(() => view.close())
  return view
}

test.each(['node:http', 'Express 5', 'Express 4', 'Hono'] as const)(
  '%s: requests are counted by the routes of the file where the framework knows none',
  async (name) => {
    const view = opened()
    const config = await load(file(ROUTED).path)
    const served = await serve(name, { config, insight: view })
    for (const path of ASKED) await served.ask(path)
    expect(rows(view)).toEqual({
      'search: GET /search': [1, 1],
      'api: GET /users/:id': [2, 0],
      'api: /files/*': [1, 0],
      // What no route of the file names: by what the framework knows.
      [name === 'Hono' ? 'api: GET /*' : 'api: *']: [0, 1],
    })
  },
)

test('Express: a mount is no better than a route of the file; a reload with other routes counts by those', async () => {
  const view = opened()
  const routes = { 'GET /api/search': 'search', '*': 'api' }
  const content = file({ ...ROUTED, routes })
  const config = await load(content.path)
  const app = express()
  app.use('/api', rateThrottle({ config, insight: view }))
  app.use((_request, response) => void response.send('ok'))
  const server = app.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await fetch(`${url}/api/search`)
  await fetch(`${url}/api/other`)
  content.write({ ...ROUTED, routes: { 'GET /api/:what': 'api', '*': 'search' } })
  expect((await config.reload()).ok).toBe(true)
  await fetch(`${url}/api/other`)
  expect(rows(view)).toEqual({
    'search: GET /api/search': [1, 0],
    'api: /api/*': [1, 0],
    'api: GET /api/:what': [1, 0],
  })
})

test('a file with more routes than there are rows: those beyond are counted together', async () => {
  const view = opened()
  const many = Array.from({ length: 300 }, (_, i) => [`/route-${i}`, 'api'])
  const limiters = { api: { limits: '1000/hour' } }
  const config = await load(
    file({ limiters, routes: { ...Object.fromEntries(many), '*': 'api' } }).path,
  )
  const served = await serve('node:http', { config, insight: view })
  for (let i = 0; i < 300; i++) await served.ask(`/route-${i}`)
  const found = rows(view)
  expect(Object.keys(found)).toHaveLength(256)
  expect(found['api: other']).toEqual([45, 0])
})
