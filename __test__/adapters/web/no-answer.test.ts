import { Hono } from 'hono'
import { rateThrottle as limitHono } from 'ratethrottle/hono'
import { rateThrottle } from 'ratethrottle/web'
import { expect, test } from 'vitest'

const ask = (): Request => new Request('http://localhost/')

test('web: a handler that answers with nothing gives its permit back', async () => {
  const limiter = rateThrottle({ concurrent: 1, key: () => 'a' })
  const silent = limiter.wrap((() => undefined) as never)
  const late = limiter.wrap((async () => null) as never)
  for (const handler of [silent, late, silent, late]) {
    expect((await handler(ask())) ?? 'nothing').toBe('nothing')
  }
  expect((await limiter.wrap(() => new Response('in'))(ask())).status).toBe(200)
})

test('web: a handler that answers with nothing counts as a failure', async () => {
  const limiter = rateThrottle({ limits: '1/hour', countWhen: 'failure', key: () => 'a' })
  await limiter.wrap((() => undefined) as never)(ask())
  expect((await limiter.check(ask())).response?.status).toBe(429)
})

test('hono: a handler that throws what is no error gives its permit back', async () => {
  const app = new Hono()
  app.use(limitHono({ concurrent: 1, key: () => 'a' }))
  app.get('/', () => {
    throw 'a text'
  })
  app.get('/in', (c) => c.text('in'))
  for (let i = 0; i < 3; i++) await expect(app.request('/')).rejects.toBe('a text')
  expect((await app.request('/in')).status).toBe(200)
})

test('hono: option methods knows a method however it is written', async () => {
  const app = new Hono()
  app.use(limitHono({ limits: '1/hour', methods: ['PROPFIND'], key: () => 'a' }))
  app.all('/', (c) => c.text(c.req.method))
  const statuses: number[] = []
  for (const method of ['PROPFIND', 'propfind', 'Propfind', 'POST']) {
    statuses.push((await app.request('/', { method })).status)
  }
  expect(statuses).toEqual([200, 429, 429, 200])
})
