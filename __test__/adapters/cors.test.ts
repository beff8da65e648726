import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import express, { type RequestHandler } from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { expect, test } from 'vitest'
import { listen } from '../http/serve.ts'

const ORIGIN = 'https://app.example'
const EXPOSED = [
  ...['Retry-After', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'],
  ...['RateLimit', 'RateLimit-Policy'],
]
const PREFLIGHT = {
  method: 'OPTIONS',
  headers: { origin: ORIGIN, 'access-control-request-method': 'GET' },
}
const GET = { headers: { origin: ORIGIN } }

/** The page on CORS, and its example. */
async function page(): Promise<{ text: string; code: string }> {
  const text = await readFile('docs/guides/cors.md', 'utf8')
  return { text, code: /```js[^\n]*\n(.*?)```/s.exec(text)?.[1] ?? '' }
}

test('docs/guides/cors.md has the order, the headers to expose, and how to exempt preflights', async () => {
  const { text } = await page()
  const words = ['before the limiter', 'exposedHeaders', 'exposeHeaders', 'methods:', 'skip:']
  const flat = text.replace(/\s+/g, ' ')
  expect([...words, ...EXPOSED].filter((word) => !flat.includes(word))).toEqual([])
})

test('the example in the docs equals the one in examples, and a page can read its 429', async () => {
  const { code } = await page()
  expect(code).toContain('cors(')
  expect(await readFile('examples/cors.mjs', 'utf8')).toContain(code.trim())
  const child = spawn(process.execPath, ['examples/cors.mjs'], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const base = `http://127.0.0.1:${/(\d+)/.exec(String(line))?.[1]}`
    for (let i = 0; i < 10; i++) expect((await fetch(base, PREFLIGHT)).status).toBe(204)
    const statuses: number[] = []
    let last = new Response()
    for (let i = 0; i < 4; i++) {
      last = await fetch(base, GET)
      statuses.push(last.status)
    }
    expect(statuses).toEqual([200, 200, 200, 429])
    expect(last.headers.get('access-control-allow-origin')).toBe(ORIGIN)
    const exposed = last.headers.get('access-control-expose-headers')?.split(/, */) ?? []
    expect(exposed.sort()).toEqual([...EXPOSED].sort())
    for (const name of EXPOSED) expect([name, last.headers.get(name)]).not.toEqual([name, null])
  } finally {
    child.kill()
    await once(child, 'exit')
  }
})

/** What packages for CORS do, reduced to what this test needs. */
const corsOf: RequestHandler = (request, response, next) => {
  response.setHeader('access-control-allow-origin', ORIGIN)
  response.setHeader('access-control-expose-headers', EXPOSED.join())
  if (request.method === 'OPTIONS') response.status(204).end()
  else next()
}

const LIMITS: Record<string, object> = {
  order: {},
  methods: { methods: ['GET'] },
}

test('in Express, Fastify and Hono preflights are not charged, and a page can read the 429, as documented', async () => {
  const { text } = await page()
  const seen: unknown[] = []
  for (const [way, options] of Object.entries(LIMITS)) {
    for (const [name, build] of Object.entries(APPS)) {
      const base = await build({ limits: '1/hour', ...options }, way === 'order')
      for (let i = 0; i < 3; i++) await fetch(base, PREFLIGHT)
      const first = await fetch(base, GET)
      const second = await fetch(base, GET)
      const origin = way === 'order' ? second.headers.get('access-control-allow-origin') : ORIGIN
      seen.push([name, way, first.status, second.status, origin])
    }
  }
  const right = Object.keys(LIMITS).flatMap((way) =>
    Object.keys(APPS).map((name) => [name, way, 200, 429, ORIGIN]),
  )
  expect([seen, text.length > 0]).toEqual([right, true])
})

type Build = (options: object, isFirst: boolean) => Promise<string>

const APPS: Record<string, Build> = {
  Express: (options, isFirst) => {
    const app = express()
    if (isFirst) app.use(corsOf, forExpress(options))
    else app.use(forExpress(options), corsOf)
    app.get('/', (_, response) => void response.send('done'))
    return listen(app)
  },
  Fastify: async (options, isFirst) => {
    const app = Fastify()
    if (!isFirst) await app.register(forFastify, options)
    app.addHook('onRequest', async (request, reply) => {
      reply.header('access-control-allow-origin', ORIGIN)
      if (request.method === 'OPTIONS') return reply.code(204).send()
      return undefined
    })
    if (isFirst) await app.register(forFastify, options)
    app.route({ url: '/', method: ['GET', 'OPTIONS'], handler: async () => 'done' })
    await app.ready()
    return listen((request: never, response: never) => app.routing(request, response))
  },
  Hono: async (options, isFirst) => {
    const app = new Hono()
    const limiter = forHono(options)
    const header = cors({ origin: ORIGIN, exposeHeaders: EXPOSED })
    for (const one of isFirst ? [header, limiter] : [limiter, header]) app.use(one)
    app.get('/', (c) => c.text('done'))
    const { getRequestListener } = await import('@hono/node-server')
    return listen(getRequestListener(app.fetch))
  },
}
