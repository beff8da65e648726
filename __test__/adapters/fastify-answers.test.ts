import { PassThrough } from 'node:stream'
import Fastify, {
  type FastifyInstance,
  type FastifyServerOptions,
  type InjectOptions,
} from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { FakeClock } from 'ratethrottle/testing'
import { describe, expect, test } from 'vitest'

type Build = (app: FastifyInstance) => Promise<void> | void
type Options = Parameters<typeof rateThrottle>[1]

/** A schema without the fields of a refusal. */
const OTHER = { type: 'object', properties: { oops: { type: 'string' } } } as const
/** A schema into which a refusal cannot be serialized. */
const IMPOSSIBLE = {
  type: 'object',
  required: ['oops'],
  properties: { oops: { type: 'integer' } },
} as const

/** Ways in which a route could change the body of a refusal. */
const ROUTES: Record<string, object> = {
  'a schema for 429': { schema: { response: { 429: OTHER } } },
  'a schema for 4xx': { schema: { response: { '4xx': OTHER } } },
  'a schema for all': { schema: { response: { default: OTHER } } },
  'an impossible schema': { schema: { response: { '4xx': IMPOSSIBLE } } },
  'a schema by content type': {
    schema: { response: { 429: { content: { 'application/json': { schema: OTHER } } } } },
  },
  "a serializer's compiler": {
    schema: { response: { 429: OTHER } },
    serializerCompiler: () => () => '{"compiled":true}',
  },
}

/** The same for whatever status a refusal has. */
const ALL: Record<string, object> = {
  schemas: { schema: { response: { '4xx': OTHER, '5xx': OTHER } } },
  'a default schema': { schema: { response: { default: OTHER } } },
  'impossible schemas': { schema: { response: { '4xx': IMPOSSIBLE, '5xx': IMPOSSIBLE } } },
  "a serializer's compiler": {
    schema: { response: { default: OTHER } },
    serializerCompiler: () => () => '{"compiled":true}',
  },
}

const HEADERS = /^(?!date$|x-ratelimit-reset$)/

async function answers(
  server: FastifyServerOptions,
  options: Options,
  build: Build,
  ask: InjectOptions = {},
): Promise<object[]> {
  const app = Fastify(server)
  const own = { limits: '1/hour', onError: () => {}, clock: new FakeClock() }
  await app.register(rateThrottle, { ...own, ...options })
  await build(app)
  const seen: object[] = []
  for (let i = 0; i < 2; i++) {
    const { statusCode, headers, body } = await app.inject({ url: '/', ...ask })
    const same = Object.entries(headers).filter(([name]) => HEADERS.test(name))
    seen.push({ statusCode, body, headers: Object.fromEntries(same) })
  }
  await app.close()
  return seen
}

function logged(lines: string[] = [], level = 'info'): FastifyServerOptions {
  const stream = new PassThrough()
  stream.on('data', (line) => lines.push(String(line)))
  return { logger: { level, stream } }
}

const DENIED = {
  statusCode: 429,
  code: 'RATE_LIMIT_EXCEEDED',
  error: 'Too Many Requests',
  message: 'Rate limit exceeded, retry in 3600 seconds',
}

describe.each(Object.entries(ROUTES))('with %s', (_, route) => {
  const build: Build = (app) => void app.get('/', route, () => ({ oops: 'served' }))

  test('a denial has its fixed body, with and without a log', async () => {
    const [, silent] = await answers({}, {}, build)
    const [, told] = await answers(logged(), {}, build)
    const [, quiet] = await answers(logged([], 'error'), {}, build)
    const [, watched] = await answers({}, {}, (app) => {
      app.addHook('onError', async () => {})
      return build(app)
    })
    for (const answer of [silent, told, quiet, watched]) {
      expect(JSON.parse((answer as { body: string }).body)).toEqual(DENIED)
      expect(answer).toEqual(silent)
    }
  })
})

describe.each(Object.entries(ALL))('with %s for all statuses', (_, route) => {
  const build: Build = (app) => void app.get('/', route, () => ({ oops: 'served' }))

  test('refusals without a count and problem responses have their fixed bodies too', async () => {
    const cases: [Options, number, string | undefined][] = [
      [{ deny: '127.0.0.1' }, 403, 'ADDRESS_DENIED'],
      [{ key: () => undefined }, 400, 'KEY_MISSING'],
      [
        { key: () => Promise.reject(new Error('no')), onKeyError: 'deny' },
        500,
        'RATE_LIMITER_FAILED',
      ],
      [{ problem: true }, 429, undefined],
    ]
    for (const [options, status, code] of cases) {
      const [, silent] = await answers({}, options, build)
      const [, told] = await answers(logged(), options, build)
      const { statusCode, body } = silent as { statusCode: number; body: string }
      expect([statusCode, JSON.parse(body).code]).toEqual([status, code])
      expect(told).toEqual(silent)
    }
  })
})

test('a serializer set by a hook does not change the body of a denial', async () => {
  const build: Build = (app) => void app.get('/', () => 'served')
  const set: Build = (app) => {
    app.addHook('onRequest', async (_, reply) => void reply.serializer(() => '{"set":true}'))
  }
  for (const server of [{}, logged()]) {
    const app = Fastify(server)
    await set(app)
    app.addHook('preSerialization', async () => ({ serialized: true }))
    await app.register(rateThrottle, { limits: '1/hour' })
    await build(app)
    await app.inject('/')
    expect((await app.inject('/')).json()).toEqual(DENIED)
    await app.close()
  }
})

test('a denial on a route with another schema is logged once by Fastify, at level info', async () => {
  const build: Build = (app) =>
    void app.get('/', { schema: { response: { 429: OTHER } } }, () => ({ oops: 'served' }))
  const lines: string[] = []
  const [, denied] = await answers(logged(lines), {}, build)
  const errors = lines.map((line) => JSON.parse(line)).filter(({ err }) => err !== undefined)
  expect(errors).toMatchObject([
    { level: 30, err: { code: 'RATE_LIMIT_EXCEEDED', statusCode: 429 } },
  ])
  expect(JSON.parse((denied as { body: string }).body)).toEqual(DENIED)
})

test('an error handler of the user is still called, on the server or on the route', async () => {
  const routes: Build[] = [
    (app) => {
      app.setErrorHandler((error, _, reply) =>
        reply.code(429).send({ oops: (error as Error).name }),
      )
      app.get('/', { schema: { response: { 429: OTHER } } }, () => ({ oops: 'served' }))
    },
    (app) =>
      void app.get(
        '/',
        {
          schema: { response: { 429: OTHER } },
          errorHandler: (error, _, reply) => void reply.code(429).send({ oops: error.name }),
        },
        () => ({ oops: 'served' }),
      ),
  ]
  for (const build of routes) {
    for (const server of [{}, logged()]) {
      const [, denied] = await answers(server, {}, build)
      expect(denied).toMatchObject({ statusCode: 429, body: '{"oops":"RateLimitExceeded"}' })
    }
  }
  const plain: Build = (app) =>
    void app.get('/', { schema: { response: { 429: OTHER } } }, () => ({}))
  expect((await answers(logged(), {}, plain))[1]).toEqual((await answers({}, {}, plain))[1])
})

test('a hook called by hand resolves or rejects with the refusal, and charges once', async () => {
  const app = Fastify()
  await app.register(rateThrottle, {})
  const hook = app.rateThrottle('2/hour') as unknown as (...given: unknown[]) => Promise<void>
  const seen: unknown[] = []
  let served = 0
  app.get('/', async (request, reply) => {
    try {
      await hook(request, reply)
      await hook(request, reply)
      served++
    } catch (error) {
      seen.push((error as { code?: string }).code)
      throw error
    }
    return 'served'
  })
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) statuses.push((await app.inject('/')).statusCode)
  expect(statuses).toEqual([200, 200, 429, 429])
  expect([served, ...seen]).toEqual([2, 'RATE_LIMIT_EXCEEDED', 'RATE_LIMIT_EXCEEDED'])
  await app.close()
})

test('app.rateThrottle and its hooks have the controls of the other adapters', async () => {
  const app = Fastify()
  await app.register(rateThrottle, { limits: '1/hour' })
  const hook = app.rateThrottle('1/hour')
  app.get('/', () => 'served')
  app.get('/more', { config: { rateLimit: false }, preHandler: hook }, () => 'served')
  const statuses = async (url: string) => [
    (await app.inject(url)).statusCode,
    (await app.inject(url)).statusCode,
  ]
  expect([await statuses('/'), await statuses('/more')]).toEqual([
    [200, 429],
    [200, 429],
  ])
  for (const [controls, url] of [
    [app.rateThrottle, '/'],
    [hook, '/more'],
  ] as const) {
    for (const name of ['reset', 'peek', 'ready', 'close']) {
      expect(typeof (controls as unknown as Record<string, unknown>)[name]).toBe('function')
    }
    expect(controls.peek('127.0.0.1')).toMatchObject({ allowed: false, limit: 1 })
    controls.reset('127.0.0.1')
    expect(await statuses(url)).toEqual([200, 429])
    expect(await controls.ready()).toEqual({ available: true, reason: undefined })
  }
  await app.close()
})
