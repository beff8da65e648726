import { createRequire } from 'node:module'
import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { RateLimitExceeded, rateThrottle } from 'ratethrottle/hono'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listen } from '../http/serve.ts'

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any

const warnings: (string | undefined)[] = []
const note = (warning: Error & { code?: string }): void => void warnings.push(warning.code)
beforeEach(() => {
  warnings.length = 0
  process.on('warning', note)
})
afterEach(() => void process.off('warning', note))

/** The parts of a response that clients read. */
function told(response: Response): Record<string, unknown> {
  const { headers } = response
  return {
    status: response.status,
    limit: headers.get('x-ratelimit-limit'),
    remaining: headers.get('x-ratelimit-remaining'),
    hasReset: headers.has('x-ratelimit-reset'),
    hasRetryAfter: Number(headers.get('retry-after')) > 0,
  }
}

const ADMITTED = { status: 200, limit: '1', remaining: '0', hasReset: true, hasRetryAfter: false }
const REFUSED = { status: 429, limit: '1', remaining: '0', hasReset: true, hasRetryAfter: true }

/** Sends two requests over a real connection; the limit is one. */
async function askTwice(app: Hono, path = '/'): Promise<[Response, Response]> {
  const base = await listen(getRequestListener(app.fetch))
  const first = await fetch(base + path)
  await first.arrayBuffer()
  return [first, await fetch(base + path)]
}

function limited(options: Any = {}): Hono {
  const app = new Hono()
  app.use(rateThrottle({ limits: '1/hour', ...options }))
  return app
}

const OWN: Record<string, (app: Hono) => unknown> = {
  'a Response of its own': (app) => app.get('/', () => new Response('mine')),
  'a stream': (app) =>
    app.get('/', () => {
      const body = new ReadableStream({
        start: (controller) => {
          controller.enqueue(new TextEncoder().encode('mine'))
          controller.close()
        },
      })
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    }),
  'c.res replaced behind the handler': (app) => {
    app.use(async (c, next) => {
      await next()
      c.res = undefined
      c.res = new Response('mine')
    })
    app.get('/', (c) => c.text('other'))
  },
  'what it fetched': (app) => app.get('/', () => fetch('data:text/plain,mine')),
  'a mounted app': (app) => app.mount('/', () => new Response('mine')),
  'a sub-app': (app) =>
    app.route(
      '/',
      new Hono().get('/', () => new Response('mine')),
    ),
  'c.header before': (app) =>
    app.get('/', (c) => {
      c.header('x-before', 'yes')
      return new Response('mine')
    }),
}

for (const [name, add] of Object.entries(OWN)) {
  test(`a handler that answers with ${name} keeps the headers`, async () => {
    const app = limited()
    add(app)
    const [first, second] = await askTwice(app)
    expect(told(first)).toEqual(ADMITTED)
    expect(told(second)).toEqual(REFUSED)
  })
}

test('the draft headers are kept too, and those of the tightest of two limits', async () => {
  const app = limited({ headers: 'both', limits: '5/hour', policy: 'wide' })
  app.use(rateThrottle({ limits: '1/hour', headers: 'both', policy: 'narrow' }))
  app.get('/', () => new Response('mine', { headers: { 'x-mine': 'yes' } }))
  const [first, second] = await askTwice(app)
  expect(told(first)).toEqual(ADMITTED)
  expect(told(second)).toEqual(REFUSED)
  for (const { headers } of [first, second]) {
    expect(headers.get('ratelimit-policy')).toMatch(/"wide";.*"narrow";/)
    expect(headers.get('ratelimit')).toMatch(/"wide";.*"narrow";/)
  }
  expect(first.headers.get('x-mine')).toBe('yes')
})

const HANDLERS: Record<string, [answer: (c: Context) => unknown, status: number]> = {
  'a Response without a status': [() => new Response('slow down'), 429],
  'c.text': [(c) => c.text('slow down'), 429],
  'c.text with 200': [(c) => c.text('slow down', 200), 429],
  '503': [(c) => c.text('slow down', 503), 503],
  'a Response with 403': [() => new Response('slow down', { status: 403 }), 403],
  'a redirect': [(c) => c.redirect('/wait'), 302],
}

/** The answers to a refusal in apps that answer it in each of these ways. */
async function refusals(make: (answer: (c: Context) => unknown) => Hono): Promise<unknown[]> {
  const seen: unknown[] = []
  for (const [name, [answer]] of Object.entries(HANDLERS)) {
    const app = make(answer)
    app.get('/', () => new Response('done'))
    const base = await listen(getRequestListener(app.fetch))
    await fetch(base)
    seen.push([name, told(await fetch(base, { redirect: 'manual' }))])
  }
  return seen
}

const RIGHT = Object.entries(HANDLERS).map(([name, [, status]]) => [name, { ...REFUSED, status }])

test('a refusal answered by the handler option has the headers; status 200 becomes 429, others stand', async () => {
  expect(await refusals((handler) => limited({ handler }))).toEqual(RIGHT)
})

test('a refusal answered by onError has the headers; status 200 becomes 429, others stand', async () => {
  const make = (answer: (c: Context) => unknown): Hono =>
    limited().onError((_, c) => answer(c) as Response)
  expect(await refusals(make)).toEqual(RIGHT)
})

test('for a request that matches only the limiter, onError also answers with status and headers', async () => {
  const app = limited()
  app.onError((_, c) => (c.req.path === '/own' ? new Response('mine') : c.text('mine', 503)))
  const seen: unknown[] = []
  for (const path of ['/own', '/text']) {
    const base = await listen(getRequestListener(app.fetch))
    await fetch(base + path)
    seen.push(told(await fetch(base + path)))
  }
  expect(seen).toEqual([REFUSED, { ...REFUSED, status: 503 }])
})

test('the status option replaces 200', async () => {
  const app = limited({ status: 503, handler: () => new Response('slow down') })
  app.get('/', (c) => c.text('done'))
  const [, second] = await askTwice(app)
  expect(told(second)).toEqual({ ...REFUSED, status: 503 })
})

test('the Hono idiom for HTTPException answers a refusal', async () => {
  const seen: Any[] = []
  const app = limited()
  app.onError((error, c) => {
    seen.push(error)
    return error instanceof HTTPException ? error.getResponse() : c.text('failed', 500)
  })
  app.get('/', (c) => c.text('done'))
  const [, second] = await askTwice(app)
  expect(told(second)).toEqual(REFUSED)
  expect(await second.json()).toMatchObject({ statusCode: 429, code: 'RATE_LIMIT_EXCEEDED' })
  const [error] = seen
  expect(error).toBeInstanceOf(HTTPException)
  expect(error.cause).toBeInstanceOf(RateLimitExceeded)
  expect(error).toMatchObject({ status: 429, code: 'RATE_LIMIT_EXCEEDED', statusCode: 429 })
  expect(error.retryAfter).toBe(error.cause.retryAfter)
  expect(error.decision).toMatchObject({ allowed: false, limit: 1 })
  expect([error.message, error.name]).toEqual([error.cause.message, 'RateLimitExceeded'])
})

test('a denial in onError is a RateLimitExceeded and an HTTPException, another refusal an HTTPException only', async () => {
  class Own extends RateLimitExceeded {}
  const seen: unknown[] = []
  const app = limited({ key: ({ req }: Context) => req.header('x-key') })
  app.onError((error, c) => {
    const classes = [HTTPException, RateLimitExceeded, Own, Error]
    seen.push(classes.map((one) => error instanceof one))
    return c.text('no', 429)
  })
  app.get('/', (c) => c.text('done'))
  const base = await listen(getRequestListener(app.fetch))
  for (const headers of [{ 'x-key': 'ada' }, { 'x-key': 'ada' }, {}]) await fetch(base, { headers })
  // A denial, and what was refused without being counted.
  expect(seen).toEqual([
    [true, true, false, true],
    [true, false, false, true],
  ])
})

test('instanceof RateLimitExceeded holds for its errors, also from another copy of the package, and for no other object', () => {
  class Own extends RateLimitExceeded {}
  const decision = { retryAfterMs: 1_000 } as Any
  const copied = createRequire(`${process.cwd()}/`)
  const files = Object.keys(copied.cache).filter((file) => file.endsWith('errors.js'))
  const other = copyOf(copied, files)
  const is = (value: unknown): boolean[] => [
    value instanceof RateLimitExceeded,
    value instanceof Own,
  ]
  const seen = {
    plain: is(new RateLimitExceeded(decision)),
    own: is(new Own(decision)),
    copy: is(new other(decision)),
    others: [{}, null, 5, new Error('x'), new HTTPException(429), () => {}].flatMap(is),
  }
  expect(seen).toEqual({
    plain: [true, false],
    own: [true, true],
    copy: [true, false],
    others: Array.from({ length: 12 }, () => false),
  })
})

/** The class of a second copy of the module. */
function copyOf(require: NodeJS.Require, files: readonly string[]): typeof RateLimitExceeded {
  for (const file of files) delete require.cache[file]
  return require(`${process.cwd()}/dist/errors.js`).RateLimitExceeded
}

test('the Hono idiom for HTTPException works in CommonJS, where it is another class', async () => {
  const require = createRequire(`${process.cwd()}/`)
  const { Hono: Other } = require('hono') as { Hono: typeof Hono }
  const { HTTPException: Exception } = require('hono/http-exception') as {
    HTTPException: typeof HTTPException
  }
  const app = new Other()
  app.use(rateThrottle({ limits: '1/hour', key: () => 'all' }))
  const seen: unknown[] = []
  app.onError((error, c) => {
    seen.push(error instanceof Exception)
    return error instanceof Exception ? error.getResponse() : c.text('failed', 500)
  })
  app.get('/', (c) => c.text('done'))
  await app.request('/')
  expect(told(await app.request('/'))).toEqual(REFUSED)
  expect(seen).toEqual([true])
})

test('a refusal without a count is an HTTPException too', async () => {
  const app = limited({ key: () => undefined })
  app.onError((error, c) =>
    error instanceof HTTPException ? error.getResponse() : c.text('failed', 500),
  )
  app.get('/', (c) => c.text('done'))
  const [, second] = await askTwice(app)
  expect([second.status, await second.text()]).toEqual([
    400,
    expect.stringContaining('"code":"KEY_MISSING"'),
  ])
})

test('onError of a sub-app answers its refusals, with the headers', async () => {
  const inner = new Hono()
  inner.use(rateThrottle({ limits: '1/hour' }))
  inner.onError(() => new Response('inner'))
  inner.get('/', (c) => c.text('done'))
  const app = new Hono()
  app.onError(() => new Response('outer', { status: 500 }))
  app.route('/api', inner)
  const [, second] = await askTwice(app, '/api')
  expect(told(second)).toEqual(REFUSED)
  expect(await second.text()).toBe('inner')
})

test('with app.request() all callers are one, with one warning', async () => {
  for (const options of [{}, { trust: '10.0.0.0/8' }, { deny: '10.0.0.1' }]) {
    warnings.length = 0
    const app = limited({ ...options, limits: '2/hour' })
    app.get('/', (c) => c.text('done'))
    const seen: number[] = []
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
      const headers = { 'x-forwarded-for': address }
      seen.push((await app.request('/', { headers })).status)
    }
    expect(seen).toEqual([200, 200, 429])
    await new Promise(setImmediate)
    expect(warnings.filter((code) => code === 'RATETHROTTLE_NO_CONNECTION').length).toBe(1)
  }
})
