import express from 'express'
import Fastify from 'fastify'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { shield } from 'ratethrottle/shield'
import { expect, test } from 'vitest'
import { ADAPTERS, serve, serveApp } from '../../http/serve.ts'
import { fakeInsight } from './fake.ts'

const BLOCKED = '127.0.0.5'
const DENIED = '127.0.0.6'

test.each(ADAPTERS)('%s: what the shield refuses is counted as that', async (framework) => {
  const { insight, rows, shields } = fakeInsight()
  const guard = shield({ mode: 'enforce' })
  const options = { limits: '2/hour', name: 'all', deny: DENIED, shield: guard, insight }
  const { ask, statuses } = await serve(framework, options)
  expect(await statuses(3)).toEqual([200, 200, 429])
  guard.block(BLOCKED, 60_000)
  const refused = [await ask('/', { from: BLOCKED }), await ask('/x', { from: BLOCKED })]
  expect(refused.map(({ headers }) => headers['content-type'])).toEqual([
    'application/problem+json',
    'application/problem+json',
  ])
  expect((await ask('/', { from: DENIED })).status).toBe(403)
  expect(shields).toEqual([{ name: 'all', shield: guard }])
  expect(rows).toHaveLength(1)
  const counts = Object.values(rows[0]?.routes ?? {})
  const sum = (outcome: string) => counts.reduce((all, one) => all + (one[outcome] ?? 0), 0)
  expect(['admitted', 'denied', 'shield', 'refused', 'exempt'].map(sum)).toEqual([2, 1, 2, 1, 0])
  guard.close()
})

test('a held attempt, one that onSuspect lets pass, and watch mode', async () => {
  const { insight, rows } = fakeInsight()
  const guard = shield({ mode: 'enforce', onSuspect: () => 'pass' })
  const watching = shield({ mode: 'watch' })
  for (const one of [guard, watching]) {
    const { ask } = await serve('node:http', { limits: '9/hour', shield: one, insight })
    one.block(BLOCKED, 60_000)
    expect((await ask('/', { from: BLOCKED })).status).toBe(200)
    one.close()
  }
  expect(rows.map(({ routes }) => routes)).toEqual([
    { '*': { admitted: 1 } },
    { '*': { admitted: 1 } },
  ])
})

test('without limits the shield has a row of its own, once it refuses', async () => {
  const { insight, rows, shields } = fakeInsight()
  const guard = shield({ mode: 'enforce' })
  const app = Fastify()
  await app.register(forFastify, { shield: guard, insight })
  app.get('/open', async () => 'ok')
  app.get('/limited', { config: { rateLimit: '1/minute' } }, async () => 'ok')
  const other = express()
  other.use(forExpress({ shield: { name: 'front' }, insight }))
  const { ask } = await serveApp(app)
  expect(rows.map(({ about }) => about.name)).toEqual(['GET /limited'])
  guard.block(BLOCKED, 60_000)
  for (const path of ['/open', '/limited', '/none']) await ask(path, { from: BLOCKED })
  expect(shields.map(({ name }) => name)).toEqual(['shield', 'front'])
  expect(Object.fromEntries(rows.map(({ about, routes }) => [about.name, routes]))).toEqual({
    'GET /limited': { 'GET /limited': { shield: 1 } },
    shield: { 'GET /open': { shield: 1 }, 404: { shield: 1 } },
  })
  guard.close()
})
