import { createRequire } from 'node:module'
import Fastify, {
  type FastifyInstance,
  type FastifyServerOptions,
  type InjectOptions,
} from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { afterEach, expect, it } from 'vitest'

const open: FastifyInstance[] = []
afterEach(() => Promise.all(open.splice(0).map((app) => app.close())))

function server(options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify(options)
  open.push(app)
  return app
}

async function ask(app: FastifyInstance, options: InjectOptions): Promise<number> {
  return (await app.inject(options)).statusCode
}

it.each([undefined, null, 0, '', 'text'])(
  'after a key function throws %j the address is the key, or by option the request is refused',
  async (thrown) => {
    const app = server()
    const key = () => {
      throw thrown
    }
    await app.register(rateThrottle, { limits: '1/hour', key })
    let runs = 0
    app.get('/', () => `${++runs}`)
    const config = { rateLimit: { limits: '9/hour', onKeyError: 'deny' } } as const
    app.get('/deny', { config }, () => `${++runs}`)
    expect([await ask(app, { url: '/' }), await ask(app, { url: '/' }), runs]).toEqual([
      200, 429, 1,
    ])
    expect([await ask(app, { url: '/deny' }), runs]).toEqual([500, 1])
  },
)

it.each(['early', 'several methods', 'twice'])(
  'HEAD shares the budget of GET, registered: %s',
  async (how) => {
    const app = server()
    const config = { rateLimit: '2/hour' } as const
    const route = () => {
      app.route({
        method: how === 'several methods' ? ['GET', 'POST'] : 'GET',
        url: '/',
        config,
        handler: () => 'ok',
      })
    }
    if (how === 'early') route()
    await app.register(rateThrottle, {})
    if (how === 'twice') await app.register(rateThrottle, {})
    if (how !== 'early') route()
    const seen: number[] = []
    for (const method of ['GET', 'HEAD', 'GET', 'HEAD'] as const) {
      seen.push(await ask(app, { url: '/', method }))
    }
    expect(seen).toEqual([200, 200, 429, 429])
  },
)

it('routes that differ only in their constraints have separate budgets', async () => {
  const app = server()
  await app.register(rateThrottle, {})
  const config = { rateLimit: '1/hour' } as const
  for (const host of ['a.test', 'b.test']) {
    app.get('/', { config, constraints: { host } }, () => 'ok')
  }
  for (const host of ['a.test', 'b.test']) {
    const headers = { host }
    expect(await ask(app, { url: '/', headers })).toBe(200)
    expect(await ask(app, { url: '/', headers })).toBe(429)
  }
})

it('a forwarded header has no effect unless the server trusts its sender', async () => {
  for (const [trustProxy, second] of [
    [false, 429],
    ['127.0.0.1', 200],
  ] as const) {
    const app = server({ trustProxy })
    await app.register(rateThrottle, { limits: '1/hour' })
    app.get('/', () => 'ok')
    const from = (address: string) =>
      ask(app, { url: '/', headers: { 'x-forwarded-for': address } })
    expect([await from('10.0.0.1'), await from('10.0.0.2')]).toEqual([200, second])
  }
})

it('require and import give the same plugin', () => {
  const required = createRequire(`${process.cwd()}/`)('ratethrottle/fastify')
  expect(required).toBe(rateThrottle)
  expect([required.default, required.rateThrottle]).toEqual([rateThrottle, rateThrottle])
})

it.each([
  ['burst', 5, 'together with limits'],
  ['name', 'api', 'beside'],
])('%s without limits stops the start', async (option, value, said) => {
  const app = server()
  const options = { [option]: value }
  await expect(Promise.resolve(app.register(rateThrottle, options))).rejects.toThrow(said)
})
