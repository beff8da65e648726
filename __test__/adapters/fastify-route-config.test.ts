import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { afterEach, expect, test } from 'vitest'
import { warnings } from '../fixtures/warned.ts'

const UNKNOWN = 'RATETHROTTLE_UNKNOWN_ROUTE_CONFIG'
const LOOSER = 'RATETHROTTLE_LOOSER_ROUTE'
const open: FastifyInstance[] = []
const told = warnings()
afterEach(async () => {
  await Promise.all(open.splice(0).map((app) => app.close()))
  told.all.length = 0
})

type Options = Parameters<typeof rateThrottle>[1]

async function server(
  options: Options,
  routes: (app: FastifyInstance) => void,
): Promise<FastifyInstance> {
  const app = Fastify()
  open.push(app)
  await app.register(rateThrottle, options)
  routes(app)
  await app.ready()
  return app
}

const get = (app: FastifyInstance, url: string, config: object): unknown =>
  app.get(url, { config: config as NonNullable<RouteOptions['config']> }, () => 'ok')

test.each([
  ...[
    'ratelimit',
    'rateLimits',
    'rate_limit',
    'RateLimit',
    'RATE_LIMIT',
    'rate-limit',
    'ratelimiting',
  ],
  ...[
    'rateLimiter',
    'ratelmit',
    'rateLimti',
    'raetLimit',
    'ratteLimit',
    'rateThrottle',
    'rateLimt',
  ],
])(
  'config.%s is not silently unlimited: a warning names the route and the right name',
  async (name) => {
    await server({}, (app) => void get(app, '/misspelt', { [name]: '1/hour' }))
    const [warning] = await told.of(UNKNOWN)
    expect(warning?.message ?? '').toContain('/misspelt')
    expect(warning?.message ?? '').toContain(name)
    expect(warning?.message ?? '').toContain('config.rateLimit')
  },
)

test.each(['rateLimit', 'ratelimit'])(
  '%s beside config causes the warning as well',
  async (name) => {
    await server({}, (app) => void app.get('/beside', { [name]: '1/hour' } as object, () => 'ok'))
    const [warning] = await told.of(UNKNOWN)
    expect(warning?.message ?? '').toMatch(new RegExp(`/beside.*${name}`))
    expect(warning?.message ?? '').toContain('config.rateLimit')
  },
)

test('many misplaced options cause one warning, and other names none', async () => {
  await server({ limits: '5/hour' }, (app) => {
    for (let i = 0; i < 300; i++) get(app, `/misspelt/${i}`, { ratelimit: '1/hour' })
  })
  const [warning, ...more] = await told.of(UNKNOWN)
  expect(warning?.message.length ?? 9_999).toBeLessThan(1_000)
  expect(more).toEqual([])
  told.all.length = 0
  const others = [
    'rateLimit',
    'dateLimit',
    'rate',
    'limit',
    'rateCard',
    'rateLimitExempt',
    'privateLimit',
    'rates',
    'maxRate',
  ]
  await server({ limits: '5/hour' }, (app) => {
    for (const name of others) get(app, `/${name}`, { [name]: '1/hour' })
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(told.all).toEqual([])
})

/** Limits of the plugin, of a route, and whether the route admits more. */
const PAIRS: [Options['limits'], unknown, boolean][] = [
  ['10/minute', '100/minute', true],
  ['100/minute', '10/minute', false],
  ['100/minute', '100/minute', false],
  ['100/minute', '10/second', true],
  ['100/minute', '1000/hour', true],
  ['100/minute', '100/hour', false],
  ['1000/hour', '100/minute', true],
  ['1000/hour', '1/minute', false],
  [['10/second', '100/hour'], '20/minute', true],
  [['10/second', '100/hour'], ['5/second', '100/hour'], false],
  ['100/minute', ['1000/minute', '50/hour'], false],
  ['10/minute', { count: 11, windowMs: 60_000 }, true],
  ['10/minute', { limits: { count: 10, windowMs: 60_000, burst: 20 } }, true],
  ['10/minute', { limits: '11/minute' }, true],
  ['10/minute', { limits: '11/minute', replace: false }, true],
  ['10/minute', { limits: '11/minute', replace: true }, false],
  ['10/minute', false, false],
  ['10/minute', () => '100/minute', false],
  [() => '10/minute', '100/minute', false],
  [undefined, '100/minute', false],
]

test('a route limit that admits more than the plugin causes a warning, unless it has replace: true', async () => {
  for (const [limits, rateLimit, isLooser] of PAIRS) {
    told.all.length = 0
    const options = limits === undefined ? {} : { limits }
    const app = await server(options, (made) => void get(made, '/loose', { rateLimit }))
    if (isLooser) await told.of(LOOSER)
    else await new Promise((resolve) => setImmediate(resolve))
    const found = told.all.filter(({ code }) => code === LOOSER)
    const what = `${String(limits)} and ${JSON.stringify(rateLimit)}`
    expect(found.length, what).toBe(isLooser ? 1 : 0)
    if (isLooser) expect(found[0]?.message ?? '').toMatch(/\/loose.*replace: true/)
    expect((await app.inject('/loose')).statusCode).toBe(200)
  }
})

test('many looser routes cause one warning with some names; replace must be true or false', async () => {
  await server({ limits: '5/hour' }, (app) => {
    for (let i = 0; i < 300; i++) get(app, `/route/${i}`, { rateLimit: '6/hour' })
  })
  const [warning, ...more] = await told.of(LOOSER)
  expect(warning?.message ?? '').toMatch(/GET \/route\/0, .* and 295 more/)
  expect(more).toEqual([])
  const wrong = (rateLimit: unknown) => server({}, (app) => void get(app, '/', { rateLimit }))
  for (const replace of ['yes', 1, null]) {
    await expect(wrong({ limits: '1/hour', replace })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  }
  // The warning is about routes only.
  await expect(server({ limits: '1/hour', replace: true } as Options, () => {})).rejects.toThrow(
    /replace/,
  )
})

/** What onRoute hooks of the user do to a route, after those of the plugin. */
const HOOKS: Record<string, (route: RouteOptions) => void> = {
  'sets it': (route) => {
    ;(route.config as { rateLimit: unknown }).rateLimit = '2/hour'
  },
  'adds it': (route) => {
    route.config = { ...route.config, rateLimit: '2/hour' } as NonNullable<RouteOptions['config']>
  },
  'replaces all': (route) => {
    route.config = { rateLimit: '2/hour' } as NonNullable<RouteOptions['config']>
  },
}

test('route limits changed by a later onRoute hook of the user are applied', async () => {
  for (const [how, hook] of Object.entries(HOOKS)) {
    const app = Fastify()
    open.push(app)
    await app.register(rateThrottle, { limits: '5/hour' })
    app.addHook('onRoute', hook)
    app.get('/', () => 'ok')
    app.get('/other', { config: { rateLimit: '1/hour' } }, () => 'ok')
    for (const url of ['/', '/other']) {
      const seen: number[] = []
      for (const method of ['GET', 'HEAD', 'GET'] as const) {
        seen.push((await app.inject({ url, method })).statusCode)
      }
      expect(seen, `${how} ${url}`).toEqual([200, 200, 429])
    }
  }
})

test('invalid limits from an onRoute hook of the user stop the start', async () => {
  const app = Fastify()
  open.push(app)
  await app.register(rateThrottle, { limits: '5/hour' })
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, rateLimit: '5/fortnight' } as NonNullable<
      RouteOptions['config']
    >
  })
  app.get('/', () => 'ok')
  const started = await Promise.resolve(app.ready()).then(
    () => 'started',
    (error: Error) => error.message,
  )
  expect(started).toContain('5/fortnight')
})

test.each([
  [
    '10/fortnight',
    'GET /t, config.rateLimit: Invalid limit "10/fortnight" at position 3: expected',
  ],
  [
    0,
    'GET /t, config.rateLimit: limits must be a limit string, an array of them or options, got 0',
  ],
])('a wrong limit of a route, %s, is refused with its method and URL', async (rateLimit, said) => {
  const app = Fastify()
  open.push(app)
  await app.register(rateThrottle, { limits: '100/minute' })
  try {
    get(app, '/t', { rateLimit })
    expect.unreachable()
  } catch (error) {
    expect((error as Error).message).toContain(said)
    expect((error as Error).stack).toContain(said)
    if (rateLimit === 0) expect(error).toMatchObject({ code: 'INVALID_OPTION' })
    else expect(error).toMatchObject({ name: 'InvalidLimit', code: 'INVALID_LIMIT', position: 3 })
  }
})

test('limits of a route replace a function as the limits of the plugin, with its key', async () => {
  const key = ({ headers }: { headers: object }) => ('x-user' in headers ? 'user' : 'guest')
  const limits = (request: { headers: object }) =>
    key(request) === 'user' ? '100/minute' : '20/minute'
  const app = await server({ limits, key }, (inner) => {
    inner.get('/', () => 'ok')
    get(inner, '/search', { rateLimit: '5/minute' })
  })
  const figures = async (url: string, headers = {}) => {
    const answer = await app.inject({ url, headers })
    return [answer.headers['x-ratelimit-limit'], answer.headers['x-ratelimit-remaining']]
  }
  expect(await figures('/')).toEqual(['20', '19'])
  expect(await figures('/', { 'x-user': 'ada' })).toEqual(['100', '99'])
  expect(await figures('/search')).toEqual(['5', '4'])
  expect(await figures('/search', { 'x-user': 'ada' })).toEqual(['5', '4'])
  expect(await figures('/')).toEqual(['20', '18'])
})
