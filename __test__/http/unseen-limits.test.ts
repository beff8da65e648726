import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { getRequestListener } from '@hono/node-server'
import express, { type RequestHandler } from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { rateThrottle as onExpress } from 'ratethrottle/express'
import onFastify from 'ratethrottle/fastify'
import { rateThrottle as onHono } from 'ratethrottle/hono'
import { rateThrottle as onNode } from 'ratethrottle/http'
import { describe, expect, test } from 'vitest'
import { listen } from './serve.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

interface Options {
  readonly limits: string
  readonly headers?: 'legacy' | 'draft' | 'both' | false
  readonly dryRun?: boolean
  readonly problem?: boolean
}

/** Serves one route behind these limits in their order, as each framework stacks them: its URL. */
const SERVERS: Record<string, (first: Options, ...rest: Options[]) => Promise<string>> = {
  'express 4': (...all) => serveExpress(express4, all),
  'express 5': (...all) => serveExpress(express, all),
  'fastify, hooks': async (first, ...rest) => {
    const app = Fastify()
    await app.register(onFastify, first)
    const preHandler = rest.map((options) => app.rateThrottle(options))
    app.get('/', { preHandler }, () => 'ok')
    await app.ready()
    return listen((request: IncomingMessage, response: ServerResponse) =>
      app.routing(request, response),
    )
  },
  'fastify, twice': async (...all) => {
    const app = Fastify()
    for (const options of all) await app.register(onFastify, options)
    app.get('/', () => 'ok')
    await app.ready()
    return listen((request: IncomingMessage, response: ServerResponse) =>
      app.routing(request, response),
    )
  },
  hono: async (...all) => {
    const app = new Hono()
    for (const options of all) app.use(onHono(options))
    app.get('/', (c) => c.text('ok'))
    return listen(getRequestListener(app.fetch))
  },
  'hono, onError': async (...all) => {
    const app = new Hono()
    for (const options of all) app.use(onHono(options))
    app.get('/', (c) => c.text('ok'))
    app.onError((_error, c) => c.text('no', 429))
    return listen(getRequestListener(app.fetch))
  },
  http: async (...all) => {
    const limiters = all.map((options) => onNode(options))
    return listen(async (request: IncomingMessage, response: ServerResponse) => {
      for (const limiter of limiters) if (!(await limiter.admit(request, response))) return
      response.end('ok')
    })
  },
}

function serveExpress(make: typeof express, all: readonly Options[]): Promise<string> {
  const app = make()
  for (const options of all) app.use(onExpress(options) as RequestHandler)
  app.get('/', (_request, response) => void response.send('ok'))
  return listen(app)
}

const NAMES = ['limit', 'remaining', 'reset'].map((name) => `x-ratelimit-${name}`)

async function refusal(url: string): Promise<Headers> {
  for (let i = 0; i < 5; i++) expect((await fetch(url)).status).toBe(200)
  const { status, headers } = await fetch(url)
  expect(status).toBe(429)
  return headers
}

/** The three figures are not there, or they are those of the limit that denies. */
function expectOneLimit(headers: Headers, limit: string, what: string): void {
  const after = Number(headers.get('retry-after'))
  expect(after, what).toBeGreaterThan(60)
  const [shown, remaining, reset] = NAMES.map((name) => headers.get(name))
  if (shown === null) {
    expect([remaining, reset], what).toEqual([null, null])
    return
  }
  expect([shown, remaining], what).toEqual([limit, '0'])
  // The response is a little older than now.
  expect(Number(reset), what).toBeGreaterThanOrEqual(Math.floor(Date.now() / 1000) + after - 30)
}

describe.each(Object.entries(SERVERS))('%s', (name, serve) => {
  test.each([
    ['legacy', false],
    ['both', false],
    ['legacy', 'draft'],
    ['both', 'draft'],
  ] as const)(
    'a refusal has no figures of an earlier limit beside its Retry-After: %s, then %s',
    async (outer, inner) => {
      const first = { limits: '100/minute', headers: outer }
      const denying = { limits: '5/hour', headers: inner }
      const more: [Options, ...Options[]][] = [
        [first, denying],
        [first, { limits: '50/minute', headers: outer }, denying],
        [first, { limits: '50/minute', headers: false }, denying],
        [first, { ...denying, problem: true }],
      ]
      for (const limiters of more) {
        expectOneLimit(
          await refusal(await serve(...limiters)),
          '5',
          `${name} ${JSON.stringify(limiters)}`,
        )
      }
    },
  )
})

test('a response that is no denial keeps its figures', async () => {
  for (const [name, serve] of Object.entries(SERVERS)) {
    const url = await serve({ limits: '100/minute' }, { limits: '5/hour', headers: false })
    const { headers } = await fetch(url)
    expect([headers.get(NAMES[0] ?? ''), headers.get('retry-after')], name).toEqual(['100', null])
    const dry = await serve(
      { limits: '100/minute' },
      { limits: '1/hour', headers: false, dryRun: true },
    )
    for (let i = 0; i < 3; i++) expect((await fetch(dry)).headers.get(NAMES[0] ?? '')).toBe('100')
    for (let i = 0; i < 4; i++) await fetch(url)
    expectOneLimit((await fetch(url)).headers, '5', name)
  }
})
