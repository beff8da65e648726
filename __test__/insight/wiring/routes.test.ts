import { createRequire } from 'node:module'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, test } from 'vitest'
import { serveApp } from '../../http/serve.ts'
import { fakeInsight, type Row } from './fake.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express
const VERSIONS = [
  ['Express 5', express],
  ['Express 4', express4],
] as const

/** Asks for each of the paths; what a client writes in capitals is no other route. */
async function askAll(app: unknown, paths: readonly string[]): Promise<number[]> {
  const { ask } = await serveApp(app)
  const statuses: number[] = []
  for (const path of paths) {
    const [method = 'GET', target = method] = path.split(' ')
    statuses.push((await ask(target, path.includes(' ') ? { method } : {})).status)
  }
  return statuses
}

function routesOf(
  rows: readonly Row[],
  prefix = '',
): Record<string, Record<string, Record<string, number>>> {
  return Object.fromEntries(
    rows.map(({ about, routes }) => [about.name.slice(prefix.length), routes]),
  )
}

test('Fastify: routes as they were declared, and names from where the limiter stands', async () => {
  const { insight, rows } = fakeInsight()
  const app = Fastify()
  await app.register(forFastify, { limits: '100/minute', insight })
  app.get('/users/:id', async () => 'user')
  app.get('/search', { config: { rateLimit: '1/minute' } }, async () => 'found')
  app.post(
    '/hook',
    { preHandler: app.rateThrottle({ limits: '5/minute', name: 'hooks' }) },
    async () => 'ok',
  )
  await app.register(
    async (inner) => {
      await inner.register(forFastify, { limits: '1/minute', insight })
      inner.get('/report', async () => 'report')
    },
    { prefix: '/api' },
  )
  await askAll(app, ['/users/1', '/users/2', 'HEAD /users/3', '/search', '/search', 'POST /hook'])
  await askAll(
    (request: never, response: never) => app.routing(request, response),
    ['/nothing/1', '/nothing/2', '/api/report', '/api/report'],
  )
  expect(routesOf(rows)).toEqual({
    global: {
      'GET /users/:id': { admitted: 3 },
      'POST /hook': { admitted: 1 },
      404: { admitted: 2 },
    },
    'GET /search': { 'GET /search': { admitted: 1, denied: 1 } },
    hooks: { 'POST /hook': { admitted: 1 } },
    '/api': { 'GET /api/report': { admitted: 1, denied: 1 } },
  })
})

test.each(VERSIONS)('%s: routes and mounts as they were declared', async (version, make) => {
  const { insight, rows } = fakeInsight()
  const app = make()
  const limiter = forExpress({ limits: '100/minute', name: `${version} all`, insight })
  const own = limiter.limit({ limits: '2/minute', name: `${version} users` })
  const router = make.Router()
  router.get(
    '/items/:item',
    limiter.limit({ limits: '9/minute', name: `${version} items` }),
    (_q, s) => {
      s.send('item')
    },
  )
  app.use(limiter)
  app.use(
    '/Tenants/:tenant',
    limiter.limit({ limits: '9/minute', name: `${version} tenants` }),
    router,
  )
  app.get('/users/:id', own, (_q, s) => {
    s.send('user')
  })
  app.all('/any', limiter.limit({ limits: '9/minute', name: `${version} any` }), (_q, s) => {
    s.send('any')
  })
  const sub = make()
  sub.use('/deep', limiter.limit({ limits: '9/minute', name: `${version} sub` }), (_q, s) => {
    s.send('sub')
  })
  app.use('/sub', sub)
  const paths = ['/users/1', 'HEAD /users/2', '/USERS/3', '/none', 'PUT /any', 'DELETE /any']
  await askAll(app, [
    ...paths,
    '/tenants/1/items/2',
    '/TENANTS/3/items/4',
    '/sub/deep',
    '/SUB/Deep/er',
  ])
  const found = routesOf(rows, `${version} `)
  expect(found).toEqual({
    all: { '*': { admitted: 10 } },
    users: { 'GET /users/:id': { admitted: 2, denied: 1 } },
    any: { 'ALL /any': { admitted: 2 } },
    tenants: {
      [make === express ? '/Tenants/:tenant/*' : '/Tenants/:parameter/*']: { admitted: 2 },
    },
    items: {
      [make === express
        ? 'GET /Tenants/:tenant/items/:item'
        : 'GET /Tenants/:parameter/items/:item']: {
        admitted: 2,
      },
    },
    sub: { '/sub/deep/*': { admitted: 2 } },
  })
})

test('Hono: the route that answers, also before it runs', async () => {
  const { insight, rows } = fakeInsight()
  const app = new Hono()
  const limiter = forHono({ limits: '100/minute', name: 'hono all', insight })
  app.use(limiter)
  app.use('/api/*', async (_c, next) => next())
  app.get('/users/:id', limiter.limit({ limits: '1/minute', name: 'hono users' }), (c) =>
    c.text('user'),
  )
  app.all('/any', (c) => c.text('any'))
  const listener = getRequestListener(app.fetch)
  await askAll(listener, ['/users/1', '/users/2', 'PUT /any', '/api/none', '/none/1'])
  expect(routesOf(rows, 'hono ')).toEqual({
    all: {
      'GET /users/:id': { admitted: 2 },
      '/any': { admitted: 1 },
      '/api/*': { admitted: 1 },
      '/*': { admitted: 1 },
    },
    users: { 'GET /users/:id': { admitted: 1, denied: 1 } },
  })
})

test('node:http: one row, since it has no routes', async () => {
  const { insight, rows } = fakeInsight()
  const limiter = forHttp({ limits: '2/minute', scope: 'all', insight })
  await askAll(
    limiter.wrap((_q, s) => s.end('ok')),
    ['/a', '/b', '/c'],
  )
  limiter.close()
  expect(routesOf(rows)).toEqual({ all: { '*': { admitted: 2, denied: 1 } } })
  // By the limiter inside, and by the adapter.
  expect(rows[0]?.closed).toBe(2)
})

/** A request that Express has not routed yet. */
function asked(app: object, baseUrl: string): object {
  return {
    app,
    baseUrl,
    method: 'GET',
    url: '/',
    headers: {},
    rawHeaders: [],
    socket: { remoteAddress: '127.0.0.1' },
  }
}

test.each(VERSIONS)(
  '%s: a million paths, and mounts in any case, make no rows',
  async (version, make) => {
    const { insight, rows } = fakeInsight()
    const app = make()
    const count = version === 'Express 5' ? 1_000_000 : 10_000
    const limiter = forExpress({ limits: '100000000/minute', headers: false, insight })
    app.use('/tenants/:tenant/abcdef', limiter)
    let passed = 0
    const next = () => {
      passed++
    }
    for (let i = 0; i < count; i++) {
      const word = i % 2 === 0 ? 'abcdef' : 'ABCDEF'
      limiter(asked(app, `/tenants/${i}/${word}`) as never, {} as never, next)
    }
    expect(passed).toBe(count)
    const [name] = Object.keys(rows[0]?.routes ?? {})
    expect(rows[0]?.routes).toEqual({ [name as string]: { admitted: count } })
    expect(name).toMatch(/^\/tenants\/:\w+\/abcdef\/\*$/)
  },
  60_000,
)

test('at most 255 routes of an insight have a row of their own', async () => {
  const { insight, rows } = fakeInsight()
  const app = Fastify()
  await app.register(forFastify, { limits: '100000/minute', insight })
  for (let i = 0; i < 300; i++) app.get(`/r${i}`, async () => 'ok')
  await app.ready()
  for (let i = 0; i < 300; i++) await app.inject(`/r${i}`)
  for (let i = 0; i < 300; i++) await app.inject(`/r${i}`)
  await app.close()
  const { other, ...routes } = rows[0]?.routes ?? {}
  expect(Object.keys(routes)).toHaveLength(255)
  expect(other).toEqual({ admitted: 90 })
})
