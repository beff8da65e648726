import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { type Insight, insight } from 'ratethrottle/insight'
import { expect, onTestFinished, test } from 'vitest'
import { serve } from '../http/serve.ts'
import { file, load } from './files.ts'

const FILE = {
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
    const config = await load(file(FILE).path)
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
  const content = file({ ...FILE, routes })
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
  content.write({ ...FILE, routes: { 'GET /api/:what': 'api', '*': 'search' } })
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
