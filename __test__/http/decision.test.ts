import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import Fastify from 'fastify'
import { rateThrottle } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, it } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { listen } from './serve.ts'

it('req.rateLimit is the tightest decision, also of limiters with headers: false', async () => {
  const limiter = rateThrottle({ limits: '100/minute' })
  const app = express()
  const seen: unknown[] = []
  app.use(limiter)
  app.get('/', limiter.limit({ limits: '2/hour', headers: false }), (req, res) => {
    seen.push([req.rateLimit?.limit, req.rateLimit?.allowed])
    res.send('done')
  })
  app.use(((_error, req, res, _next) => {
    seen.push([req.rateLimit?.limit, req.rateLimit?.allowed])
    res.status(429).send('no')
  }) as express.ErrorRequestHandler)
  const base = await listen(app)
  for (let i = 0; i < 3; i++) {
    const { headers } = await fetch(base)
    // Beside the Retry-After of a limit without headers there are no figures of another one.
    expect(headers.get('x-ratelimit-limit')).toBe(i < 2 ? '100' : null)
  }
  expect(seen).toEqual([
    [2, true],
    [2, true],
    [2, false],
  ])
})

it('node:http: an error of a handler is reported', async () => {
  const errors: unknown[] = []
  const limiter = forHttp({
    limits: '1/hour',
    handler: () => {
      throw new Error('mine')
    },
    onError: ({ error }) => errors.push((error as Error).message),
  })
  const base = await listen(limiter.wrap((_, res) => res.end('done')))
  await fetch(base)
  expect((await fetch(base)).status).toBe(429)
  expect(errors).toEqual(['mine'])
})

it('fastify: the value that a handler returns is sent', async () => {
  const app = Fastify()
  await app.register(forFastify, {
    limits: '1/hour',
    handler: async (_request, reply, error) => {
      reply.code(error.statusCode)
      return { error: 'slow down' }
    },
  })
  app.get('/', async () => 'done')
  await app.ready()
  await app.inject('/')
  const late = sleep(PATIENCE, 'never answered', { ref: false })
  const answer = await Promise.race([app.inject('/').then((r) => [r.statusCode, r.json()]), late])
  expect(answer).toEqual([429, { error: 'slow down' }])
})

it('a response that ended while the limiter decided is not changed', async () => {
  const called: string[] = []
  const limiter = rateThrottle({
    limits: '1/hour',
    key: () => new Promise((resolve) => setTimeout(resolve, 50, 'k')),
    handler: (_req, res) => {
      called.push('handler')
      res.status(429).send('no')
    },
  })
  const app = express()
  app.use((req, res, next) => {
    if (req.path === '/late') setTimeout(() => res.status(503).send('late'), 10)
    next()
  })
  app.use(limiter)
  app.get('/', (_, res) => void res.send('done'))
  app.use(((error, _req, _res, next) => {
    called.push(String(error))
    next(error)
  }) as express.ErrorRequestHandler)
  const base = await listen(app)
  await fetch(base)
  expect((await fetch(`${base}/late`)).status).toBe(503)
  await new Promise((resolve) => setTimeout(resolve, 150))
  expect(called).toEqual([])
})

it('limits from a function: one set of limits is one budget, in any spelling', async () => {
  let turn = 0
  const spellings = ['2/hour', ['2/hour'], '2 per hour', { count: 2, windowMs: 3_600_000 }] as const
  const limiter = forHttp({ limits: () => spellings[turn++ % 4] as '2/hour' })
  const base = await listen(limiter.wrap((_, res) => res.end('done')))
  const statuses = []
  for (let i = 0; i < 4; i++) statuses.push((await fetch(base)).status)
  expect(statuses).toEqual([200, 200, 429, 429])
})

it('a cost above the limit: all headers are finite', async () => {
  const limiter = forHttp({ limits: '2/hour', cost: 5, headers: 'both' })
  const base = await listen(limiter.wrap((_, res) => res.end('done')))
  const { headers, status } = await fetch(base)
  expect(status).toBe(429)
  expect(Number.isFinite(Number(headers.get('x-ratelimit-reset')))).toBe(true)
  expect(headers.get('ratelimit')).not.toContain('Infinity')
})
