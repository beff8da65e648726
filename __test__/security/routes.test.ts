import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { describe, expect, it } from 'vitest'
import { ask, pipeline, repeat, statuses, text } from '../http/client.ts'
import { FRAMEWORKS, type Result, type Route, serve } from '../http/serve.ts'

describe.each(FRAMEWORKS)('%s', (name) => {
  it.each([
    ['unknown paths', { path: '/unknown' }],
    ['unknown methods', { method: 'PATCH' }],
    ['OPTIONS', { method: 'OPTIONS' }],
    ['HEAD of nothing', { method: 'HEAD', path: '/unknown' }],
    ['an upgrade', { headers: { connection: 'upgrade', upgrade: 'websocket' } }],
  ])('%s are limited like everything else (H80)', async (_, question) => {
    const { port } = await serve(name, { limits: '3/day' }, { routes: [] })
    const seen = await statuses(port, 5, question)
    expect(seen.filter((status) => status !== 429)).toHaveLength(3)
    expect(await statuses(port, 1)).toEqual([429])
  })

  it('HEAD uses the budget of GET, also on a route with its own limits (H81)', async () => {
    const routes = [{ path: '/own', limits: '2/day' }]
    for (const path of ['/', '/own']) {
      const options = path === '/' ? { limits: '2/day' } : {}
      const { port } = await serve(name, options, { routes })
      const seen: number[] = []
      for (const method of ['GET', 'HEAD', 'HEAD', 'GET']) {
        seen.push((await ask(port, { path, method })).status)
      }
      expect(seen, path).toEqual([200, 200, 429, 429])
    }
  })

  it('a request is charged once by each limiter, and by all of them or none (H82)', async () => {
    const { port } = await serve(name, { limits: '4/day' }, { beside: { limits: '2/day' } })
    expect(await statuses(port, 5)).toEqual([200, 200, 429, 429, 429])
    const { headers } = await ask(port)
    expect(headers['x-ratelimit-limit']).toBe('2')
  })

  it('a scope is one budget for several routes, and for their HEADs (H83)', async () => {
    const limits = { limits: '2/day', scope: `otp ${name}` }
    const routes: Route[] = [
      { path: '/send', limits },
      { path: '/check', limits: { ...limits } },
      { path: '/other', limits: '2/day' },
    ]
    const { port } = await serve(name, {}, { routes })
    expect(await statuses(port, 1, { path: '/send' })).toEqual([200])
    expect(await statuses(port, 1, { path: '/check', method: 'HEAD' })).toEqual([200])
    expect(await statuses(port, 2, { path: '/check' })).toEqual([429, 429])
    expect(await statuses(port, 1, { path: '/send' })).toEqual([429])
    expect(await statuses(port, 3, { path: '/other' })).toEqual([200, 200, 429])
  })

  it.each<[string, () => Result | Promise<Result>]>([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
    ],
    ['rejects', () => Promise.reject(new Error('boom'))],
    ['answers 503', () => ({ status: 503 })],
  ])(
    'a request whose handler %s is counted, and its response has the headers (H90)',
    async (_, run) => {
      const { port, runs } = await serve(
        name,
        { limits: '2/day' },
        { routes: [{ path: '/', run }] },
      )
      const first = await ask(port)
      expect(first.status).toBeGreaterThanOrEqual(500)
      expect(first.headers['x-ratelimit-remaining']).toBe('1')
      await ask(port)
      expect((await ask(port)).status).toBe(429)
      expect(runs()).toBe(2)
    },
  )

  it('a response that ends while the key is awaited is not changed (H91)', async () => {
    const key = (request: object): Promise<string> => {
      // Fastify's request has the bare one inside.
      const bare = 'raw' in request ? (request.raw as object) : request
      const response = responses.get(bare)
      response?.end('from elsewhere')
      return new Promise((resolve) => setTimeout(resolve, 5, 'k'))
    }
    const responses = new WeakMap<object, { end(body: string): unknown }>()
    const before = (request: object, response: { end(body: string): unknown }): void => {
      responses.set(request, response)
    }
    for (const headers of ['legacy', 'both'] as const) {
      const { port, runs } = await serve(name, { limits: '1/day', key, headers }, { before })
      const answers = [await ask(port), await ask(port), await ask(port)]
      expect(answers.map(({ status, body }) => [status, body])).toEqual(
        Array(3).fill([200, 'from elsewhere']),
      )
      expect(runs()).toBeLessThanOrEqual(1)
    }
  })

  it('fifty spellings of a path that reach one handler share one budget (H96)', async () => {
    const routes = [{ path: '/login', limits: '3/day' }]
    const { port, runs } = await serve(name, {}, { routes })
    const tricks = ['/login', '/LOGIN', '/login/', '//login', '/%6cogin', '/log%69n', '/login?a=1']
    tricks.push(
      '/login;x',
      '/./login',
      '/a/../login',
      '/login%2f',
      '/login%00',
      '/login#x',
      '/Login?',
    )
    tricks.push(
      ...repeat(20, (i) => `/login?noise=${i}`),
      ...repeat(16, (i) => `/${'/'.repeat(i)}login?`),
    )
    const seen = await pipeline(
      port,
      tricks.map((path) => text(path)),
    )
    expect(seen).toHaveLength(50)
    expect(seen.filter((status) => status === 200)).toHaveLength(3)
    expect(runs()).toBe(3)
  })
})

it('node:http: all methods, paths and upgrades share one budget (H80)', async () => {
  const { port, runs } = await serve('node:http', { limits: '3/day' })
  const methods = ['GET', 'HEAD', 'OPTIONS', 'PURGE', 'PROPFIND', 'POST']
  const texts = methods.map((method, i) => text(i % 2 ? '*' : '/any', {}, method))
  const seen = await pipeline(port, [
    ...texts,
    text('/', { connection: 'Upgrade', upgrade: 'h2c' }),
  ])
  expect(seen.filter((status) => status === 200)).toHaveLength(3)
  expect(runs()).toBe(3)
})

it('Fastify: routes from before the plugin, of child scopes and of siblings are limited (H80)', async () => {
  const app = Fastify()
  app.get('/early', () => 'early')
  app.register(async (child) => {
    child.get('/child-before', () => 'child')
  })
  // Not awaited: routes that follow at once are covered all the same.
  app.register(rateThrottle, { limits: '6/day' })
  app.get('/late', () => 'late')
  app.register(
    async (child) => {
      child.get('/:id', () => 'child')
      child.register(
        async (grandchild) => {
          grandchild.get('/grand', () => 'grandchild')
        },
        { prefix: '/deep' },
      )
    },
    { prefix: '/child' },
  )
  const paths = ['/early', '/child-before', '/late', '/child/1', '/child/deep/grand', '/nowhere']
  for (const path of paths) expect((await app.inject(path)).statusCode, path).not.toBe(429)
  for (const path of paths) expect((await app.inject(path)).statusCode, path).toBe(429)
  await app.close()
})
