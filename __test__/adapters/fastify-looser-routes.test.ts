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
type Pair = readonly [plugin: Options | readonly Options[], rateLimit: unknown, isLooser: boolean]

function server(): FastifyInstance {
  const app = Fastify()
  open.push(app)
  return app
}

const get = (app: FastifyInstance, url: string, config: object): unknown =>
  app.get(url, { config: config as NonNullable<RouteOptions['config']> }, () => 'ok')

/** The number of warnings about looser limits so far. */
async function timesTold(isExpected: boolean, code = LOOSER): Promise<number> {
  if (isExpected) await told.of(code)
  else await new Promise((resolve) => setImmediate(resolve))
  return told.all.filter((one) => one.code === code).length
}

async function expectTold(pairs: readonly Pair[]): Promise<void> {
  for (const [plugin, rateLimit, isLooser] of pairs) {
    told.all.length = 0
    const app = server()
    for (const options of [plugin].flat() as Options[]) await app.register(rateThrottle, options)
    get(app, '/loose', { rateLimit })
    await app.ready()
    const what = `${JSON.stringify(plugin)} and ${JSON.stringify(rateLimit)}`
    expect(await timesTold(isLooser), what).toBe(isLooser ? 1 : 0)
    if (isLooser) expect(told.all[0]?.message ?? '').toMatch(/\/loose.*replace: true/)
  }
}

const paced = { count: 10, windowMs: 60_000, burst: 2 }
const bursty = { count: 10, windowMs: 60_000, burst: 50 }

test('the comparison includes the burst of a route and of the plugin', async () => {
  await expectTold([
    [{ limits: '10/minute' }, { limits: '10/minute', burst: 50 }, true],
    [{ limits: '10/minute' }, { limits: '5/minute', burst: 11 }, true],
    [{ limits: '10/minute', burst: 2 }, '10/minute', true],
    [{ limits: '10/minute', burst: 2 }, { limits: ['3/minute', '100/hour'] }, true],
    [{ limits: paced }, '10/minute', true],
    [{ limits: '10/minute', burst: 2 }, { limits: '10/minute', burst: 3 }, true],
    [{ limits: '10/minute', burst: 2 }, { limits: '11/minute', burst: 2 }, true],
    [{ limits: ['10/minute', '100/hour'], burst: 2 }, ['10/minute', '100/hour'], true],
    // The same, or less.
    [{ limits: '10/minute' }, { limits: '10/minute', burst: 10 }, false],
    [{ limits: '10/minute' }, { limits: '10/minute', burst: 5 }, false],
    [{ limits: '10/minute', burst: 2 }, { limits: '10/minute', burst: 2 }, false],
    [{ limits: '10/minute', burst: 2 }, { limits: paced }, false],
    [{ limits: '10/minute', burst: 2 }, '1/minute', false],
    [{ limits: bursty }, { limits: '10/minute', burst: 50 }, false],
    [{ limits: '10/minute', burst: 50 }, '10/minute', false],
    [{ limits: '60/minute' }, '1/second', false],
    [{ limits: '10/minute' }, { limits: '10/minute', burst: 50, replace: true }, false],
  ])
})

test('a route replaces two registrations of one instance, so the stricter one is compared', async () => {
  const loose = { limits: '300/minute' }
  const strict = { limits: '60/minute', hook: 'preHandler' } as const
  await expectTold([
    [[loose, strict], '100/minute', true],
    [[strict, loose], '100/minute', true],
    [[{}, strict], '100/minute', true],
    [[strict, {}], '100/minute', true],
    [[loose, { limits: '60/minute', burst: 5 }], '60/minute', true],
    [[loose, { limits: () => '60/minute' }], '400/minute', true],
    [[loose, strict], '60/minute', false],
    [[strict, loose], '5/minute', false],
    [[loose, strict], { limits: '100/minute', replace: true }, false],
    [[loose, { limits: () => '60/minute' }], '100/minute', false],
  ])
})

test.each(['at once', 'with a prefix'])(
  'routes from before the plugin cause the warning as well, %s',
  async (where) => {
    const early = async (config: object): Promise<FastifyInstance> => {
      const app = server()
      const url = where === 'at once' ? '/early' : '/api/early'
      if (where === 'at once') get(app, url, config)
      else
        await app.register(async (child) => void get(child, '/early', config), { prefix: '/api' })
      await app.register(rateThrottle, { limits: '10/minute' })
      await app.ready()
      for (let i = 0; i < 3; i++) expect((await app.inject(url)).statusCode).toBe(200)
      return app
    }
    await early({ rateLimit: '100/minute' })
    expect(await timesTold(true)).toBe(1)
    expect(told.all[0]?.message ?? '').toMatch(/early.*replace: true/)
    told.all.length = 0
    await early({ ratelimit: '1/minute' })
    expect(await timesTold(true, UNKNOWN)).toBe(1)
    expect(told.all[0]?.message ?? '').toMatch(/early.*config\.ratelimit/)
    told.all.length = 0
    for (const rateLimit of ['5/minute', false, { limits: '100/minute', replace: true }]) {
      await early({ rateLimit })
    }
    expect(await timesTold(false)).toBe(0)
  },
)

/** A registration within another one: its options, and whether they cause a warning. */
const INNER: readonly (readonly [Options, Options, boolean])[] = [
  [{ limits: '5/minute' }, { limits: '1000/minute' }, true],
  [{ limits: '5/minute' }, { limits: '5/minute', burst: 50 }, true],
  [{ limits: '5/minute', burst: 1 }, { limits: '5/minute' }, true],
  [{ limits: '5/minute' }, { limits: '1000/minute', replace: false } as Options, true],
  [{ limits: '5/minute' }, { limits: '1000/minute', replace: true } as Options, false],
  [{ limits: '5/minute' }, { limits: '5/minute' }, false],
  [{ limits: '5/minute' }, { limits: '1/minute' }, false],
  [{ limits: '5/minute' }, { limits: () => '1000/minute' }, false],
  [{ limits: '5/minute' }, {}, false],
  [{}, { limits: '1000/minute' }, false],
]

test('a nested registration that replaces a stricter one causes a warning, unless it has replace: true', async () => {
  for (const [outer, inner, isLooser] of INNER) {
    told.all.length = 0
    const app = server()
    await app.register(rateThrottle, outer)
    const built = Promise.resolve(
      app.register(
        async (between) => {
          await between.register(
            async (child) => {
              await child.register(rateThrottle, inner)
              child.get('/', () => 'ok')
            },
            { prefix: '/child' },
          )
        },
        { prefix: '/api' },
      ),
    )
    const error = await built.then(
      () => undefined,
      (found: Error) => found,
    )
    const what = `${JSON.stringify(outer)} and ${JSON.stringify(inner)}`
    expect(error, what).toBeUndefined()
    await app.ready()
    expect(await timesTold(isLooser), what).toBe(isLooser ? 1 : 0)
    if (isLooser) expect(told.all[0]?.message ?? '').toMatch(/\/api\/child.*replace: true/)
    expect((await app.inject('/api/child')).statusCode).toBe(200)
  }
})

test('a route within a registration without limits is compared with the outer registrations', async () => {
  const app = server()
  await app.register(rateThrottle, { limits: '5/minute' })
  await app.register(async (child) => {
    await child.register(rateThrottle, { headers: false })
    get(child, '/loose', { rateLimit: '6/minute' })
  })
  await app.ready()
  expect(await timesTold(true)).toBe(1)
  expect(told.all[0]?.message ?? '').toMatch(/\/loose.*replace: true/)
})
